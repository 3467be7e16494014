import { existsSync } from "node:fs";
import type { DynoSpec } from "@dynokit/manifold";
import { MAX_AROUND } from "./around.ts";
import type { Home } from "./home.ts";
import type { Host } from "./host.ts";
import { commandOf, FILL, FIRST, hostName, type Place, SLUG } from "./inside.ts";
import type { Settings } from "./options.ts";
import { seccompProfile } from "./seccomp.ts";

/** Room for the threads of the runtime itself; the helper sets the dyno's own limit before it begins. */
const MIN_PIDS = 64;

const FILTER = "/run/filter";

/** What Docker hides of `/proc`, too: about the host, and no business of a dyno. */
const MASKED = [
  ...["acpi", "asound", "kcore", "keys", "latency_stats", "scsi", "sched_debug"],
  ...["timer_list", "timer_stats"],
].map((name) => `/proc/${name}`);
const READ_ONLY = ["bus", "fs", "irq", "sys", "sysrq-trigger"].map((name) => `/proc/${name}`);

interface Mount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** Name of a dyno's container; ids may begin with what a runtime takes for an option. */
export const containerName = (id: string) => `c.${id}`;

/** The command line of one dyno in a container, as the process driver gets it (spec/drivers.md §5.6). */
export function containerLine(
  spec: DynoSpec,
  place: Place & {
    /** File for which the dyno waits, with `bundleText`. */
    readonly gate: string;
    /** Where the process driver keeps what belongs to the dyno. */
    readonly state: string;
  },
  host: Host,
  home: Home,
  settings: Settings,
): string[] {
  const { memoryBytes, memoryKillBytes } = spec.limits ?? {};
  return [
    host.perl,
    home.oci,
    host.runtime,
    home.containers,
    containerName(spec.id),
    place.state,
    place.gate,
    String(Math.ceil(settings.startTimeoutMs / 1000)),
    settings.egress === "host" ? "" : "own",
    place.socket ?? "",
    String(settings.port),
    String(Math.floor(memoryBytes ?? memoryKillBytes ?? 0)),
    host.perl,
    FIRST,
    process.arch === "arm64" ? "167" : "157",
    home.filter === "" ? "" : FILTER,
    ...(place.memoryDisk === undefined ? [] : FILL),
    ...commandOf(spec, host.shell),
  ];
}

/** What the gate of a container has for the helper that waits for it. */
export function bundleText(
  uid: number,
  spec: DynoSpec,
  place: Place,
  host: Host,
  home: Home,
  settings: Settings,
): string {
  const links = host.system.links.map(({ path, target }) => `${path} ${target}`);
  return [uid, ...links, JSON.stringify(configOf(spec, place, host, home, settings))].join("\n");
}

/** `config.json`, in which the helper puts what it alone knows in place of `"@NAME@"`. */
export function configOf(
  spec: Pick<DynoSpec, "labels" | "limits">,
  place: Place,
  host: Host,
  home: Home,
  settings: Settings,
): object {
  const none = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] };
  return {
    ociVersion: "1.0.2",
    process: {
      user: { uid: "@UID@", gid: "@UID@" },
      args: ["@ARGS@"],
      // The dyno's own go to its first process by a descriptor.
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      cwd: place.paths === undefined ? "/app" : place.directory,
      capabilities: none,
      noNewPrivileges: true,
      rlimits: [
        { type: "RLIMIT_NOFILE", hard: "@FILES@", soft: "@FILES@" },
        { type: "RLIMIT_CORE", hard: 0, soft: 0 },
      ],
      oomScoreAdj: "@OOM@",
    },
    root: { path: "rootfs", readonly: true },
    hostname: hostName(spec),
    mounts: mountsOf(place, host, home, settings),
    linux: {
      cgroupsPath: "@GROUP@",
      namespaces: [
        ...["pid", "mount", "ipc", "uts", "cgroup"].map((type) => ({ type })),
        ...(settings.egress === "host" ? [] : [{ type: "network", path: "@NETWORK@" }]),
      ],
      resources: resourcesOf(spec.limits),
      ...(settings.seccomp ? { seccomp: seccompProfile() } : {}),
      maskedPaths: MASKED,
      readonlyPaths: READ_ONLY,
    },
  };
}

function resourcesOf(limits: DynoSpec["limits"] = {}): object {
  const { memoryKillBytes, pids, cpus } = limits;
  const memory = memoryKillBytes === undefined ? undefined : Math.floor(memoryKillBytes);
  return {
    // Of devices the runtime lets pass those that it makes: null, zero, full, random, urandom, tty.
    devices: [{ allow: false, access: "rwm" }],
    // As much swap as memory means none beside it.
    ...(memory === undefined ? {} : { memory: { limit: memory, swap: memory } }),
    ...(pids === undefined
      ? {}
      : { pids: { limit: Math.max(MIN_PIDS, Math.floor(pids) + MAX_AROUND) } }),
    ...(cpus === undefined
      ? {}
      : {
          cpu: {
            shares: Math.max(2, Math.round(cpus * 1024)),
            quota: Math.max(1000, Math.round(cpus * 100_000)),
            period: 100_000,
          },
        }),
  };
}

function mountsOf(place: Place, host: Host, home: Home, settings: Settings): Mount[] {
  const tmpfs = (destination: string, size: number, ...options: string[]): Mount => ({
    destination,
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "nodev", `size=${size}`, ...options],
  });
  const bind = (source: string, destination: string, mode: "ro" | "rw"): Mount => ({
    destination,
    type: "bind",
    source,
    options: ["rbind", mode, "nosuid", "nodev"],
  });
  return [
    {
      destination: "/proc",
      type: "proc",
      source: "proc",
      options: ["nosuid", "noexec", "nodev"],
    },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "mode=755", "size=64k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
    },
    tmpfs("/dev/shm", settings.tmpBytes, "mode=1777"),
    ...host.system.binds.map((path) => bind(path, path, "ro")),
    ...["hosts", "nsswitch.conf"].map((name) => bind(`${home.etc}/${name}`, `/etc/${name}`, "ro")),
    ...(existsSync(home.resolver) ? [bind(home.resolver, "/etc/resolv.conf", "ro")] : []),
    bind(home.first, FIRST, "ro"),
    ...(home.filter === "" ? [] : [bind(home.filter, FILTER, "ro")]),
    tmpfs("/tmp", settings.tmpBytes, "mode=1777"),
    ...codeOf(place, tmpfs, bind),
  ];
}

function codeOf(
  { directory, memoryDisk, paths }: Place,
  tmpfs: (destination: string, size: number, ...options: string[]) => Mount,
  bind: (source: string, destination: string, mode: "ro" | "rw") => Mount,
): Mount[] {
  if (paths !== undefined)
    return paths.map(({ path, writable, source }) => bind(source, path, writable ? "rw" : "ro"));
  if (memoryDisk === undefined) return [bind(directory, "/app", "rw")];
  return [
    tmpfs("/app", Math.floor(memoryDisk), "mode=755", "@OWNER@"),
    bind(directory, SLUG, "ro"),
  ];
}
