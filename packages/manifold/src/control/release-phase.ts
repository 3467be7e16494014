import type { ExitResult } from "../driver/contract.ts";
import type { DynoInfo, OneOffSession } from "../types.ts";

/** How the release command ended; the words are those of `release.status` in the Platform API. */
export type ReleaseResult = {
  /** `expired`: the time limit ended it. */
  readonly status: "succeeded" | "failed" | "expired";
  readonly exit: ExitResult;
};

export interface ReleaseRun {
  readonly dyno: DynoInfo;
  /** Never rejects. */
  readonly done: Promise<ReleaseResult>;
  /** Stops the command; the release fails. */
  stop(): Promise<void>;
}

export interface ReleaseOptions {
  /** ms; default 3 600 000, at most 86 400 000. */
  readonly timeoutMs?: number;
}

/** ms that a release command may take (spec/dynos.md §8). */
export const releaseTimeoutMs = 3_600_000;

/** Judges a release dyno by its end: only status 0 of a command that ended by itself is a success. */
export function releaseRun(session: OneOffSession & { endedBy(): string | undefined }): ReleaseRun {
  return {
    dyno: session.dyno,
    stop: () => session.stop(),
    done: session.wait().then((exit) => {
      const endedBy = session.endedBy();
      if (endedBy === "time-to-live") return { status: "expired", exit };
      return {
        status: exit.exitCode === 0 && endedBy === undefined ? "succeeded" : "failed",
        exit,
      };
    }),
  };
}
