import { resolve } from "node:path";
import { DriverError, defaultStateDirectory } from "@dynokit/manifold";
import { z } from "zod";
import {
  type EgressPolicy,
  entriesOf6,
  forwards6,
  hostNameservers,
  isPool,
  isPool6,
  isTarget,
} from "./egress.ts";

const MIB = 1_048_576;

const schema = z.strictObject({
  stateDirectory: z.string().min(1).optional(),
  runtime: z.enum(["bwrap", "runc", "crun"]).default("bwrap"),
  egress: z.enum(["none", "allow-list", "open", "host"]).default("none"),
  allow: z
    .array(
      z
        .string()
        .refine(
          isTarget,
          "must be an address with optional /BITS and :PORT[-PORT]; an IPv6 one with ports as [ADDRESS/BITS]:PORT",
        ),
    )
    .default([]),
  nameservers: z.array(z.union([z.ipv4(), z.ipv6()])).optional(),
  addresses: z
    .string()
    .refine(isPool, "must be an IPv4 network with 8 to 28 bits, as 10.201.0.0/16")
    .default("10.201.0.0/16"),
  addresses6: z
    .string()
    .refine(isPool6, "must be an IPv6 network with 16 to 96 bits, as fd64:796e:6f6b::/64")
    .default("fd64:796e:6f6b::/64"),
  readOnly: z.array(z.string().startsWith("/")).default([]),
  hostPaths: z.array(z.string().startsWith("/")).default([]),
  tmpBytes: z
    .int()
    .min(4096)
    .default(64 * MIB),
  diskBytes: z.int().min(MIB).optional(),
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
   * What makes the walls (spec/drivers.md §5.1). `bwrap` (default): bubblewrap, with and without
   * root. `runc`, `crun`: a container of an OCI runtime, which also denies devices by a control
   * group and weighs the CPU; needs root and writable control groups, and is tried at the start.
   * crun refuses hosts that have control groups of both versions.
   */
  readonly runtime?: "bwrap" | "runc" | "crun";
  /**
   * What dynos reach (spec/drivers.md §5.3). `none` (default): nothing but their own loopback.
   * `allow-list`: what `allow` lists. `open`: the internet and what `allow` lists, but neither this
   * host, nor private networks, metadata services, or other dynos. Both of these need root,
   * iproute2, nftables and a host that forwards. `host`: the host's network, with its ports, its
   * loopback and its abstract sockets.
   */
  readonly egress?: "none" | "allow-list" | "open" | "host";
  /**
   * `ADDRESS[/BITS][:PORT[-PORT]]`, or `[ADDRESS[/BITS]]:PORT[-PORT]` for IPv6; TCP and UDP, without
   * a port all. This host's own addresses too. Default none.
   */
  readonly allow?: readonly string[];
  /**
   * Addresses that dynos ask for names, and reach at port 53. Default with `open`: those of
   * the host's `/etc/resolv.conf` not on its loopback; with `allow-list` none, as names can carry data out.
   */
  readonly nameservers?: readonly string[];
  /** With `allow-list` and `open`: network out of which each dyno gets an address. Default `10.201.0.0/16`. */
  readonly addresses?: string;
  /**
   * The same for IPv6, which dynos have where the host forwards it
   * (`net.ipv6.conf.all.forwarding`). Default `fd64:796e:6f6b::/64`.
   */
  readonly addresses6?: string;
  /** Absolute paths of the host that dynos see read-only beside `/usr`, such as `/opt/node`. Default none. */
  readonly readOnly?: readonly string[];
  /**
   * Directories of the host below which `config.paths` of a dyno may lie: how builds get the code
   * they work on. As root such a path is given to the dyno's user. Default none.
   */
  readonly hostPaths?: readonly string[];
  /** Bytes of `/tmp` and of `/dev/shm`, each; they count as the dyno's memory. Default 64 MiB. */
  readonly tmpBytes?: number;
  /**
   * Bytes of `/app` for dynos whose spec has no `limits.diskBytes`, at least 1 MiB. As root on a host
   * with loop devices a disk, of which the file system takes a part; else a file system in memory,
   * which counts as the dyno's. Default: not limited.
   */
  readonly diskBytes?: number;
  /** `PORT` of a dyno with a network of its own; the same for all. Default 5000. */
  readonly port?: number;
  /** Loopback ports of the host for dynos with `egress: "host"`; default that of the process driver. */
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
export type Settings = Omit<
  z.output<typeof schema>,
  "stateDirectory" | "users" | "allow" | "nameservers" | "addresses" | "addresses6"
> & {
  /** With `allow-list` and `open`. */
  readonly policy: EgressPolicy | undefined;
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
  const { runtime, controlGroups } = result.data;
  if (runtime !== "bwrap" && !root)
    throw new DriverError(
      "unavailable",
      `The runtime "${runtime}" needs root; leave "runtime" out to use bubblewrap, which does not`,
      { retryable: false },
    );
  if (runtime !== "bwrap" && !controlGroups)
    throw new DriverError(
      "invalid-spec",
      `The runtime "${runtime}" works by control groups; leave "controlGroups" out`,
    );
  const { stateDirectory, users, allow, nameservers, addresses, addresses6, ...rest } = result.data;
  return {
    ...rest,
    policy: policyOf(rest.egress, { allow, nameservers, addresses, addresses6 }),
    users: root ? users : undefined,
    stateDirectory: resolve(
      stateDirectory ?? defaultStateDirectory("sandbox", root ? "/var/lib/dynokit" : undefined),
    ),
  };
}

function policyOf(
  egress: Settings["egress"],
  given: {
    readonly allow: readonly string[];
    readonly nameservers: readonly string[] | undefined;
    readonly addresses: string;
    readonly addresses6: string;
  },
): EgressPolicy | undefined {
  const { allow, addresses } = given;
  if (egress === "none" || egress === "host") {
    if (allow.length === 0 && given.nameservers === undefined) return undefined;
    throw new DriverError(
      "invalid-spec",
      `"allow" and "nameservers" have no effect with egress "${egress}"; set it to "allow-list" or "open"`,
    );
  }
  if (egress === "allow-list" && allow.length === 0)
    throw new DriverError(
      "invalid-spec",
      'The egress is "allow-list" and "allow" is empty; list what dynos may reach, or set it to "none"',
    );
  const six = forwards6();
  const nameservers = given.nameservers ?? (egress === "open" ? hostNameservers(six) : []);
  const [unreachable] = six ? [] : entriesOf6({ allow, nameservers });
  if (unreachable !== undefined)
    throw new DriverError(
      "unavailable",
      `"${unreachable}" is IPv6, which the host does not forward; set it with sysctl -w net.ipv6.conf.all.forwarding=1`,
      { retryable: false },
    );
  const addresses6 = six ? given.addresses6 : undefined;
  return { mode: egress, allow, nameservers, addresses, addresses6 };
}
