import type { Peer } from "../forward/client-side.ts";
import { checkedHost } from "../table/settings.ts";

/** Exact names, and `*.` names for one label. */
export function hostMatcher(hosts: readonly string[]): NonNullable<Peer["serves"]> {
  const names = new Set(hosts.map((host) => checkedHost(host)));
  return (hostname) => {
    if (names.has(hostname)) return "name";
    const dot = hostname.indexOf(".");
    return dot > 0 && names.has(`*${hostname.slice(dot)}`) ? "pattern" : null;
  };
}
