import type { Socket } from "node:net";
import type { BodyParts } from "./client-side.ts";
import { LARGE_READ, type WriteBuffers } from "./write-buffers.ts";

/** Up to this size one copy is cheaper than a gather write. */
const COPY_LIMIT = 262_144;
/** More pieces than this are cheaper to copy than to gather. */
const MAX_GATHER = 4;

/**
 * Writes text, parts of a body and text at once to a socket of the system. Parts are borrowed, so
 * they are copied, unless their buffer is lent.
 *
 * @returns octets written.
 */
export function writeMessage(
  socket: Socket,
  writes: WriteBuffers,
  before: string,
  parts: BodyParts,
  after: string,
): number {
  const { list, bytes, lease } = parts;
  const total = before.length + bytes + after.length;
  const lent = lease !== null && bytes >= LARGE_READ && list.length <= MAX_GATHER;
  if (lent || total > COPY_LIMIT) {
    socket.cork();
    if (before !== "") socket.write(before, "latin1");
    for (const piece of list) {
      if (lent) {
        lease.hold();
        socket.write(piece, lease.release);
      } else socket.write(Buffer.from(piece));
    }
    if (after !== "") socket.write(after, "latin1");
    socket.uncork();
    return total;
  }
  const small = writes.isSmall(total);
  const out = small ? writes.small() : writes.take(total);
  let at = small ? writes.offset : 0;
  if (before !== "") at += out.write(before, at, "latin1");
  for (const piece of list) {
    out.set(piece, at);
    at += piece.length;
  }
  if (after !== "") out.write(after, at, "latin1");
  if (small) writes.writeSmall(socket, total);
  else writes.write(socket, out, total);
  return total;
}

/** The same for a stream that may hand buffers on, so that none is used again. */
export function writeCopy(socket: Socket, before: string, parts: BodyParts, after: string): number {
  const all = [Buffer.from(before, "latin1"), ...parts.list, Buffer.from(after, "latin1")];
  const whole = Buffer.concat(all);
  socket.write(whole);
  return whole.length;
}
