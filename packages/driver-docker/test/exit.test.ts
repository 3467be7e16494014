import type { ContainerInspectInfo } from "dockerode";
import { describe, expect, it } from "vitest";
import { exitResult } from "../src/exit.ts";

const infoOf = (state: Partial<ContainerInspectInfo["State"]>) =>
  ({
    State: {
      ExitCode: 0,
      OOMKilled: false,
      Error: "",
      StartedAt: "2026-01-01T00:00:00.100000000Z",
      FinishedAt: "2026-01-01T00:00:01.000000000Z",
      ...state,
    },
  }) as ContainerInspectInfo;

describe("exitResult", () => {
  it("tells a code", () => {
    expect(exitResult(infoOf({ ExitCode: 3 }))).toMatchObject({ exitCode: 3, signal: null });
  });

  it("tells the signal behind 128 + n", () => {
    expect(exitResult(infoOf({ ExitCode: 143 }))).toMatchObject({
      exitCode: null,
      signal: "SIGTERM",
    });
    expect(exitResult(infoOf({ ExitCode: 255 }))).toMatchObject({ exitCode: 255, signal: null });
  });

  it("never ends before it starts, though the engine notes the start late", () => {
    const { startedAt, endedAt } = exitResult(
      infoOf({
        StartedAt: "2026-01-01T00:00:01.300000000Z",
        FinishedAt: "2026-01-01T00:00:01.250000000Z",
      }),
    );
    expect(startedAt).toBeLessThanOrEqual(endedAt);
  });
});
