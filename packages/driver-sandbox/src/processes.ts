import { readFileSync } from "node:fs";
import { DriverError } from "@dynokit/manifold";
import { FIRST } from "./inside.ts";

/**
 * The main process of a dyno, seen from its outermost one: the first child of the one child that is
 * number 1 of a PID namespace. Undefined while, or when, there is none.
 */
export function mainProcess(outer: number): number | undefined {
  for (const child of childrenOf(outer)) {
    if (innerNumber(child) !== 1) continue;
    const inside = childrenOf(child);
    // In a container lower numbers were threads of the runtime; orphans are behind its own child.
    return isPast(child, FIRST) ? inside.find((pid) => innerNumber(pid) === 2) : inside[0];
  }
  return undefined;
}

/** Whether the process has become another program than those with `word` on their command line. */
export function isPast(pid: number, word: string): boolean {
  const line = read(`/proc/${pid}/cmdline`);
  return line !== "" && !line.split("\0").includes(word);
}

/** User of the host that it runs as; throws `failed` when it is gone. */
export function userOf(pid: number): number {
  const uid = /^Uid:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1];
  if (uid === undefined) throw new DriverError("failed", "The dyno ended while it was started");
  return Number(uid);
}

/** Number in the innermost PID namespace. */
function innerNumber(pid: number): number | undefined {
  const match = /^NSpid:\s+(.+)$/m.exec(read(`/proc/${pid}/status`));
  const numbers = match?.[1]?.split(/\s+/) ?? [];
  return numbers.length > 1 ? Number(numbers.at(-1)) : undefined;
}

function childrenOf(pid: number): number[] {
  return read(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // Gone meanwhile.
    return "";
  }
}
