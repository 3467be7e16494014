import type { DynoSpec } from "@dynokit/manifold";
import type { Home } from "./home.ts";
import type { Host } from "./host.ts";
import type { Settings } from "./options.ts";
import type { HostPath } from "./paths.ts";

/** Signals that the programs around the dyno ignore, and that the dyno gets back. */
const SIGNALS = "HUP,INT,QUIT,TERM,USR1,USR2,ALRM,WINCH";

/**
 * Stands on the command line of everything that leads up to the dyno's program, and of nothing
 * after: as long as it does, signals are ignored.
 */
export const SIGNAL_RESET = `--default-signal=${SIGNALS}`;

// Heroku sources these before every command, the app's own file last (spec/dynos.md §3).
const PROFILE =
  'for f in ./.profile.d/*.sh; do if [ -r "$f" ]; then . "$f"; fi; done; unset f; ' +
  "if [ -r ./.profile ]; then . ./.profile; fi; ";

/** Bridge, bubblewrap, its process inside; the helper that starts a program beside the dyno. */
const AROUND = 4;

/** Where one dyno is. */
export interface Place {
  /** Its code on the host. */
  readonly directory: string;
  /** Size of a `/app` in memory, into which the code is copied; undefined: it is where `directory` is. */
  readonly memoryDisk: number | undefined;
  /** Paths of the host that it has where they are; undefined: its code alone, as `/app`. */
  readonly paths: readonly HostPath[] | undefined;
  /** Of the bridge; undefined without a network of its own, or without a port. */
  readonly socket: string | undefined;
  /** As root or with delegation: the groups limit the processes. */
  readonly grouped: boolean;
  /** File for which the dyno waits, until all that root does for it is done; undefined: nothing is. */
  readonly gate: string | undefined;
}

/** The command line of one dyno, as the process driver gets it (spec/drivers.md §5.2). */
export function sandboxLine(
  spec: DynoSpec,
  place: Place,
  host: Host,
  home: Home,
  settings: Settings,
): string[] {
  const own = settings.egress !== "host";
  // The bridge, or the link, has to be in a network made around bubblewrap.
  const around = own && (place.socket !== undefined || settings.policy !== undefined);
  const { memoryBytes, memoryKillBytes, pids } = spec.limits ?? {};
  const memory = memoryBytes ?? memoryKillBytes ?? 0;
  const bytes = String(settings.tmpBytes);
  return [
    host.perl,
    home.enter,
    home.filter,
    around ? "own" : "",
    place.gate ?? "",
    String(Math.ceil(settings.startTimeoutMs / 1000)),
    place.socket ?? "",
    String(settings.port),
    String(Math.floor(memory)),
    ...["--perms", "0755", "--dir", "/etc", "--perms", "0755", "--dir", "/var"],
    ...host.system,
    ...["passwd", "group", "hosts", "nsswitch.conf"].flatMap((name) => [
      "--ro-bind",
      `${home.etc}/${name}`,
      `/etc/${name}`,
    ]),
    ...["--ro-bind-try", home.resolver, "/etc/resolv.conf"],
    ...["--proc", "/proc", "--dev", "/dev"],
    ...["--perms", "1777", "--size", bytes, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"],
    ...["--perms", "1777", "--size", bytes, "--tmpfs", "/tmp", "--symlink", "/tmp", "/var/tmp"],
    ...(place.paths === undefined
      ? codeOf(place.directory, place.memoryDisk)
      : withPaths(place.directory, place.paths)),
    ...["--remount-ro", "/"],
    ...["--unshare-user", "--uid", "1000", "--gid", "1000", "--unshare-all"],
    ...(own && !around ? [] : ["--share-net"]),
    ...["--hostname", hostName(spec), "--die-with-parent", "--cap-drop", "ALL"],
    "--",
    ...processLimit(pids, place.grouped),
    ...(place.memoryDisk === undefined ? [] : FILL),
    "/usr/bin/env",
    SIGNAL_RESET,
    ...(typeof spec.command === "string"
      ? [host.shell, "-c", `${PROFILE}exec "$0" -c "$1"`, host.shell, spec.command]
      : ["--", ...spec.command]),
  ];
}

/** Where the code is seen that is copied into a `/app` in memory. */
const SLUG = "/run/slug";
const FILL = ["/bin/sh", "-c", `cp -a ${SLUG}/. /app/ && exec "$@"`, "sh"] as const;

function codeOf(directory: string, memoryDisk: number | undefined): string[] {
  if (memoryDisk === undefined) return ["--bind", directory, "/app", "--chdir", "/app"];
  const size = String(Math.floor(memoryDisk));
  return [
    ...["--perms", "0755", "--size", size, "--tmpfs", "/app"],
    ...["--ro-bind", directory, SLUG, "--chdir", "/app"],
  ];
}

/** As builds are: an empty `/app`, and all else where it is on the host (spec/drivers.md §12.1). */
function withPaths(directory: string, paths: readonly HostPath[]): string[] {
  const binds = paths.flatMap(({ path, writable, source }) => [
    writable ? "--bind" : "--ro-bind",
    source,
    path,
  ]);
  return ["--dir", "/app", ...binds, "--chdir", directory];
}

/** The command line of a program beside it. */
export function joinLine(
  pid: number,
  argv: readonly string[],
  host: Host,
  home: Home,
): readonly string[] {
  return [host.perl, home.join, home.filter, String(pid), "/app", ...argv];
}

/** Limits of the process driver: those of the dyno with room for what is around it. */
export function outerLimits(limits: DynoSpec["limits"]): DynoSpec["limits"] {
  return limits?.pids === undefined ? limits : { ...limits, pids: limits.pids + AROUND };
}

/** The kernel counts per user namespace here, so this is the dyno's alone. */
function processLimit(pids: number | undefined, grouped: boolean): string[] {
  if (pids === undefined || grouped) return [];
  const script = 'ulimit -u "$0" 2>/dev/null || ulimit -p "$0"; exec "$@"';
  return ["/bin/sh", "-c", script, String(Math.floor(pids) + 1)];
}

function hostName(spec: DynoSpec): string {
  return spec.labels.dyno.replaceAll(/[^a-zA-Z0-9.-]/g, "-").slice(0, 63) || "dyno";
}
