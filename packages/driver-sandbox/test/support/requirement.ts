import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "vitest";
import { sandboxDriver } from "../../src/index.ts";

const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/);

const tried = spawnSync(
  "bwrap",
  ["--unshare-user", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"],
  { encoding: "utf8" },
);

/** Why sandboxes can't be made here; undefined when they can. */
export const missing =
  tried.status === 0 ? undefined : (tried.error?.message ?? tried.stderr.trim());

if (missing !== undefined && required.includes("bwrap"))
  throw new Error(`bwrap is required but can't be used here: ${missing}`);

/** Title of a suite, with the reason when it is skipped. */
export const titled = (name: string) =>
  missing === undefined ? name : `${name} (skipped: bwrap can't be used here: ${missing})`;

/** One way to make walls, and why it can't be used here; undefined when it can. */
export interface Walls {
  readonly runtime: "bwrap" | "runc";
  readonly missing: string | undefined;
  /** Title of a suite, with the reason when it is skipped. */
  titled(name: string): string;
}

function runcMissing(): string | undefined {
  if (process.getuid?.() !== 0) return "this run is not by root";
  const directory = mkdtempSync(join(tmpdir(), "dynokit-runc-"));
  chmodSync(directory, 0o711);
  try {
    sandboxDriver({ stateDirectory: directory, runtime: "runc" });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const withoutRunc = runcMissing();
if (withoutRunc !== undefined && required.includes("runc"))
  throw new Error(`runc is required but can't be used here: ${withoutRunc}`);

export const runc: Walls = {
  runtime: "runc",
  missing: withoutRunc,
  titled: (name) =>
    withoutRunc === undefined
      ? `${name} by runc`
      : `${name} (skipped: runc can't be used here: ${withoutRunc})`,
};

/** A suite for each of them; `unable` is a reason that holds for all. */
export function describeWalls(
  name: string,
  body: (runtime: Walls["runtime"]) => void,
  unable?: string,
): void {
  for (const { runtime, missing: reason, titled: title } of [
    { runtime: "bwrap", missing, titled } as const,
    runc,
  ])
    describe.skipIf(reason ?? unable)(
      reason === undefined && unable !== undefined ? `${name} (skipped: ${unable})` : title(name),
      () => {
        if ((reason ?? unable) === undefined) body(runtime);
      },
    );
}
