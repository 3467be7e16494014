import { resolve } from "node:path";
import { z } from "zod";
import { DriverError } from "../../driver/errors.ts";
import { defaultStateDirectory } from "../../driver/state-directory.ts";

const schema = z.strictObject({
  stateDirectory: z.string().min(1).optional(),
  ports: z
    .strictObject({
      from: z.int().min(1).max(65_535),
      to: z.int().min(1).max(65_535),
    })
    .refine(({ from, to }) => from <= to, "`from` must not be above `to`")
    .default({ from: 20_000, to: 31_999 }),
  logs: z
    .strictObject({
      segmentBytes: z.int().min(4_096).max(1_073_741_824).default(1_048_576),
      segments: z.int().min(2).max(1_024).default(8),
      overflow: z.enum(["drop", "block"]).default("drop"),
    })
    .prefault({}),
  users: z
    .strictObject({ from: z.int().min(1_000), count: z.int().min(1).max(100_000) })
    .optional(),
  controlGroups: z.boolean().default(true),
  supervisor: z.enum(["each", "shared"]).default("each"),
  spares: z.int().min(0).max(16).default(0),
  startTimeoutMs: z.int().min(1).default(30_000),
  random: z.custom<() => number>((value) => typeof value === "function").default(() => Math.random),
});

/** Options of `processDriver`; all have a default. */
export interface ProcessDriverOptions {
  /**
   * Where dynos are kept: their code, output and exit results. Drivers with the same directory see
   * the same dynos. Default: a directory of the current user for the current working directory,
   * below `$XDG_STATE_HOME` or `~/.local/state`.
   */
  readonly stateDirectory?: string;
  /** Loopback ports for dynos that ask for one; default 20 000 to 31 999, below what systems take for outgoing connections. */
  readonly ports?: { readonly from: number; readonly to: number };
  /**
   * How much output is kept for a reader that is away: `segments` (default 8) of `segmentBytes`
   * (default 1 MiB). When they are full the oldest goes and its lines are counted (`drop`, the
   * default), or the dyno waits (`block`).
   */
  readonly logs?: {
    readonly segmentBytes?: number;
    readonly segments?: number;
    readonly overflow?: "drop" | "block";
  };
  /** As root: every dyno gets a user id of its own out of these. Default: dynos run as the current user. */
  readonly users?: { readonly from: number; readonly count: number };
  /** Use Linux control groups where they are writable; default true. */
  readonly controlGroups?: boolean;
  /**
   * `each` (default): every dyno has a supervisor of its own, 8 MB each; one that is killed takes
   * its dyno with it and no other. `shared`: one for all dynos of the state directory, at well
   * below 0.5 MB a dyno and several times the start rate; one that is killed takes all of them.
   * Dynos of both kinds may live in one directory.
   */
  readonly supervisor?: "each" | "shared";
  /**
   * Supervisors (`each`) kept ready for the next starts, 0 (default) to 16; a start then need not
   * wait for one to load. They end with the driver, or with the process that holds it.
   */
  readonly spares?: number;
  /** ms that a start may take until the process exists; default 30 000. */
  readonly startTimeoutMs?: number;
  /** Source of randomness for ports; default `Math.random`. */
  readonly random?: () => number;
}

/** The options with their defaults. */
export type ParsedOptions = Omit<z.output<typeof schema>, "stateDirectory"> & {
  readonly stateDirectory: string;
};

/** Throws `invalid-spec` with every problem named. */
export function parseOptions(options: ProcessDriverOptions): ParsedOptions {
  const result = schema.safeParse(options);
  if (!result.success) {
    throw new DriverError(
      "invalid-spec",
      `The options of processDriver are not valid: ${z.prettifyError(result.error)}`,
      { cause: result.error },
    );
  }
  const { stateDirectory, users, ...rest } = result.data;
  if (users && process.getuid?.() !== 0) {
    throw new DriverError(
      "invalid-spec",
      'The option "users" needs root; leave it out to run dynos as the current user',
    );
  }
  return {
    ...rest,
    users,
    stateDirectory: resolve(stateDirectory ?? defaultStateDirectory("dynos")),
  };
}
