import type { DynoSpec, DynoStats } from "../../driver/contract.ts";
import type { DriverErrorCode } from "../../driver/errors.ts";
import type { MemoryProgram } from "./program.ts";

/** What a dyno of the memory driver does; everything absent is what a healthy server does. */
export interface MemoryScript {
  /** ms that `start` takes; default 0. */
  readonly startDelayMs?: number;
  /** `start` rejects with this. */
  readonly startError?: {
    readonly code: DriverErrorCode;
    readonly message?: string;
    readonly retryable?: boolean;
  };
  /** ms from the start until it listens; `null`: never; default 0. */
  readonly listenAfterMs?: number | null;
  /** ms from the start until it ends by itself; default never. */
  readonly exitAfterMs?: number;
  /** Default 0. */
  readonly exitCode?: number;
  /** It ends by this signal instead of by itself. */
  readonly exitSignal?: string;
  readonly oomKilled?: boolean;
  /**
   * What signals do: nothing (`ignore`), or an end after some ms with a status (or, without one, by
   * the signal). Default: it ends by the signal at once. SIGKILL cannot be told.
   */
  readonly signals?: Readonly<
    Record<string, "ignore" | { readonly afterMs: number; readonly exitCode?: number }>
  >;
  /** Lines it writes. */
  readonly output?: readonly {
    readonly afterMs: number;
    readonly text: string;
    readonly stream?: "stdout" | "stderr";
    /** Writes the line again and again, this many ms apart. */
    readonly everyMs?: number;
  }[];
  /** What it answers to input of an attached client; default the input. */
  readonly respond?: (input: string) => string;
  /** What a command in it prints, and its status; or what it does, in code. */
  readonly exec?: (
    argv: readonly string[],
  ) => { readonly output: string; readonly exitCode: number } | MemoryProgram;
  /** What it does, in code; beside whatever else the script says. */
  readonly program?: MemoryProgram;
  /** A measurement of it. */
  readonly stats?: () => Omit<DynoStats, "time">;
  /** `recover` does not find it. */
  readonly lostOnRecover?: boolean;
}

/** One script for all dynos, or one chosen by what is started. */
export type MemoryScripts = MemoryScript | ((spec: DynoSpec) => MemoryScript | undefined);
