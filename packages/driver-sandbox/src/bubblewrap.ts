import type { DynoSpec } from "@dynokit/manifold";
import type { Home } from "./home.ts";
import { type Host, systemArguments } from "./host.ts";
import { commandOf, FILL, hostName, type Place, SLUG } from "./inside.ts";
import type { Settings } from "./options.ts";
import type { HostPath } from "./paths.ts";

/** The command line of one dyno in a sandbox, as the process driver gets it (spec/drivers.md §5.2). */
export function sandboxLine(
  spec: DynoSpec,
  place: Place & {
    /** As root or with delegation: the groups limit the processes. */
    readonly grouped: boolean;
    /** File for which the dyno waits, until all that root does for it is done; undefined: nothing is. */
    readonly gate: string | undefined;
  },
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
    ...systemArguments(host.system),
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
    ...commandOf(spec, host.shell),
  ];
}

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

/** The kernel counts per user namespace here, so this is the dyno's alone. */
function processLimit(pids: number | undefined, grouped: boolean): string[] {
  if (pids === undefined || grouped) return [];
  const script = 'ulimit -u "$0" 2>/dev/null || ulimit -p "$0"; exec "$@"';
  return ["/bin/sh", "-c", script, String(Math.floor(pids) + 1)];
}
