import type { Home } from "./home.ts";
import type { Host } from "./host.ts";

/** The command line of a program beside a dyno. */
export function joinLine(
  pid: number,
  argv: readonly string[],
  host: Host,
  home: Home,
): readonly string[] {
  return [host.perl, home.join, home.filter, String(pid), "/app", ...argv];
}
