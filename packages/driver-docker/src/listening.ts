import type { DynoInspection } from "@dynokit/manifold";

/** Prints the kernel's tables of the container's own network. */
export const SOCKETS = ["/bin/sh", "-c", "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null"] as const;

const LISTEN = "0A";
/** The engine's own name server, which is in the network of every container. */
const RESOLVER = "127.0.0.11";

/** What is listened on, from rows of `/proc/net/tcp` and `tcp6`. */
export function listeningIn(tables: string): NonNullable<DynoInspection["listening"]> {
  const found = [];
  for (const row of tables.split("\n")) {
    const [, local = "", , state] = row.trim().split(/\s+/);
    const [address = "", port = ""] = local.split(":");
    if (state !== LISTEN) continue;
    const host = addressOf(address);
    if (host !== RESOLVER) found.push({ host, port: Number.parseInt(port, 16) });
  }
  return found;
}

/** Words of 32 bits in the order of the machine, which is little-endian wherever Node runs. */
function addressOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) =>
    [...(word.match(/../g) ?? [])].reverse().map((byte) => Number.parseInt(byte, 16)),
  );
  if (bytes.length === 4) return bytes.join(".");
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255;
  if (mapped) return bytes.slice(12).join(".");
  if (bytes.every((byte) => byte === 0)) return "::";
  if (bytes.slice(0, 15).every((byte) => byte === 0) && bytes[15] === 1) return "::1";
  const groups = Array.from({ length: 8 }, (_, at) =>
    (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)).toString(16),
  );
  return groups.join(":");
}
