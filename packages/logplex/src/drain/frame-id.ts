import { createHash, randomUUID } from "node:crypto";

/**
 * `Logplex-Frame-Id`: 32 upper-case hexadecimal digits that depend only on the drain and on the
 * first and last message, so a frame sent again after a crash is recognised (spec/logplex.md §12.4).
 */
export function frameId(token: string, firstSeq: number, lastSeq: number): string {
  return createHash("sha256")
    .update(`${token}\n${firstSeq}\n${lastSeq}`)
    .digest("hex")
    .slice(0, 32)
    .toUpperCase();
}

/** `d.` and a UUID. */
export function createDrainToken(): string {
  return `d.${randomUUID()}`;
}
