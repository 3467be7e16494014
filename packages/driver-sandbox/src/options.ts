import { resolve } from "node:path";
import { DriverError, defaultStateDirectory } from "@dynokit/manifold";
import { z } from "zod";

const MIB = 1_048_576;

const schema = z.strictObject({
  stateDirectory: z.string().min(1).optional(),
  egress: z.enum(["none", "open"]).default("none"),
  readOnly: z.array(z.string().startsWith("/")).default([]),
  tmpBytes: z
    .int()
    .min(4096)
    .default(64 * MIB),
  port: z.int().min(1).max(65_535).default(5000),
  ports: z
    .strictObject({ from: z.int().min(1).max(65_535), to: z.int().min(1).max(65_535) })
    .optional(),
  users: z
    .strictObject({
      from: z.int().min(1_000).max(2_000_000_000),
      count: z.int().min(1).max(100_000),
    })
    .default({ from: 400_000, count: 50_000 }),
  logs: z
    .strictObject({
      segmentBytes: z.int().min(4_096).max(1_073_741_824).default(MIB),
      segments: z.int().min(2).max(1_024).default(8),
      overflow: z.enum(["drop", "block"]).default("drop"),
    })
    .prefault({}),
  seccomp: z.boolean().default(true),
  controlGroups: z.boolean().default(true),
  startTimeoutMs: z.int().min(1).default(30_000),
});

/** Options of `sandboxDriver`; all have a default. */
export interface SandboxDriverOptions {
  /**
   * Where dynos are kept: their code, output and exit results. Drivers with the same directory see
   * the same dynos. As root every directory above it must be searchable for all users. Default: a
   * directory for the current working directory below `/var/lib/dynokit` (root) or
   * `$XDG_STATE_HOME`, else `~/.local/state`.
   */
  readonly stateDirectory?: string;
  /**
   * What dynos reach: `none` (default) nothing but their own loopback, `open` what the host
   * reaches. With `open` they share the host's network: its ports, its loopback, its abstract sockets.
   */
  readonly egress?: "none" | "open";
  /** Absolute paths of the host that dynos see read-only beside `/usr`, such as `/opt/node`. Default none. */
  readonly readOnly?: readonly string[];
  /** Bytes of `/tmp` and of `/dev/shm`, each; they count as the dyno's memory. Default 64 MiB. */
  readonly tmpBytes?: number;
  /** `PORT` of a dyno with a network of its own; the same for all. Default 5000. */
  readonly port?: number;
  /** Loopback ports of the host for dynos with `egress: "open"`; default that of the process driver. */
  readonly ports?: { readonly from: number; readonly to: number };
  /** As root: user ids of the host, one for each dyno. Default 50 000 from 400 000. Without root all run as the current user. */
  readonly users?: { readonly from: number; readonly count: number };
  /** Output kept for a reader that is away, as in `processDriver`. */
  readonly logs?: {
    readonly segmentBytes?: number;
    readonly segments?: number;
    readonly overflow?: "drop" | "block";
  };
  /** Filter system calls; default true. There are lists for x86-64 and AArch64; elsewhere it must be `false`. */
  readonly seccomp?: boolean;
  /** Use Linux control groups where they are writable; default true. */
  readonly controlGroups?: boolean;
  /** ms that a start may take until the dyno's program exists; default 30 000. */
  readonly startTimeoutMs?: number;
}

/** The options with their defaults. */
export type Settings = Omit<z.output<typeof schema>, "stateDirectory" | "users"> & {
  readonly stateDirectory: string;
  /** Undefined without root. */
  readonly users: { readonly from: number; readonly count: number } | undefined;
};

/** Throws `invalid-spec` with every problem named. */
export function parseOptions(options: SandboxDriverOptions): Settings {
  const result = schema.safeParse(options);
  if (!result.success) {
    throw new DriverError(
      "invalid-spec",
      `The options of sandboxDriver are not valid: ${z.prettifyError(result.error)}`,
      { cause: result.error },
    );
  }
  const root = process.getuid?.() === 0;
  const { stateDirectory, users, ...rest } = result.data;
  return {
    ...rest,
    users: root ? users : undefined,
    stateDirectory: resolve(
      stateDirectory ?? defaultStateDirectory("sandbox", root ? "/var/lib/dynokit" : undefined),
    ),
  };
}
