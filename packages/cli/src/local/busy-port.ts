import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { CliError } from "../errors.ts";

/** Throws when one of the ports is taken, and says by whom where the system tells. */
export async function checkPorts(ports: readonly { dyno: string; port: number }[]): Promise<void> {
  const faults: string[] = [];
  for (const { dyno, port } of ports)
    if (!(await isFree(port)))
      faults.push(
        `Port ${port}, which ${dyno} is to have, is in use${holderText(port)}. End that, or choose another base with -p.`,
      );
  if (faults.length > 0) throw new CliError("failed", faults.join("\n"));
}

/** ` by node (pid 123)`, or nothing where the system does not tell. */
export function holderText(port: number): string {
  const holder = holderOf(port);
  return holder === undefined ? "" : ` by ${holder.name} (pid ${holder.pid})`;
}

async function isFree(port: number): Promise<boolean> {
  // A listener on one family or on one address only is in the way as well.
  for (const host of ["127.0.0.1", "0.0.0.0", "::"])
    if ((await tryPort(port, host)) === "busy") return false;
  return true;
}

function tryPort(port: number, host: string): Promise<"free" | "busy" | "unknown"> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      // EACCES: not ours to take, which the dyno will say itself. No IPv6: nobody has it there.
      resolve(error.code === "EADDRINUSE" ? "busy" : "unknown");
    });
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve("free")));
  });
}

/** The process that listens on a port, by Linux's /proc. */
function holderOf(port: number): { pid: number; name: string } | undefined {
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"])
    for (const line of read(table).split("\n").slice(1)) {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      const hex = local.split(":").at(-1) ?? "";
      if (state === "0A" && Number.parseInt(hex, 16) === port) inodes.add(`socket:[${inode}]`);
    }
  if (inodes.size === 0) return undefined;
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    let descriptors: string[] = [];
    try {
      descriptors = readdirSync(`/proc/${entry}/fd`);
    } catch {
      continue; // Another user's, or gone.
    }
    const holds = descriptors.some((fd) => {
      try {
        return inodes.has(readlinkSync(`/proc/${entry}/fd/${fd}`));
      } catch {
        return false;
      }
    });
    if (holds) return { pid: Number(entry), name: read(`/proc/${entry}/comm`).trim() };
  }
  return undefined;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
