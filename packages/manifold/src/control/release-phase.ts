import type { ExitResult } from "../driver/contract.ts";
import type { DynoInfo, OneOffOptions, OneOffSession } from "../types.ts";

/** How the release command ended; the words are those of `release.status` in the Platform API. */
export type ReleaseResult = {
  /** `expired`: the time limit ended it. */
  readonly status: "succeeded" | "failed" | "expired";
  readonly exit: ExitResult;
  /** It was only tried: nothing may be deployed on the strength of it. */
  readonly dryRun?: true;
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
  /**
   * Tries the command: with the variable `HEROKU_RELEASE_DRY_RUN` set to `true`, beside releases
   * that are under way. Default false.
   */
  readonly dryRun?: boolean;
}

/** ms that a release command may take (spec/dynos.md §8). */
export const releaseTimeoutMs = 3_600_000;

/** A release command that is to tell what it would do; the variable is for the command to heed. */
export function dryRunOf(command: OneOffOptions, prefix: string): OneOffOptions {
  const overrides = { ...command.overrides, [`${prefix}RELEASE_DRY_RUN`]: "true" };
  return { ...command, overrides };
}

/** Judges a release dyno by its end: only status 0 of a command that ended by itself is a success. */
export function releaseRun(
  session: OneOffSession & { endedBy(): string | undefined },
  dryRun = false,
): ReleaseRun {
  const mark = dryRun ? { dryRun: true as const } : {};
  return {
    dyno: session.dyno,
    stop: () => session.stop(),
    done: session.wait().then((exit) => {
      const endedBy = session.endedBy();
      if (endedBy === "time-to-live") return { status: "expired", exit, ...mark };
      return {
        status: exit.exitCode === 0 && endedBy === undefined ? "succeeded" : "failed",
        exit,
        ...mark,
      };
    }),
  };
}
