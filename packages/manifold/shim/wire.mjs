// Frames on the control socket: length (4 bytes, big endian), kind (1 byte), payload.
import { closeSync, openSync } from "node:fs";
import { relative } from "node:path";

/** A JSON message. */
export const KIND_MESSAGE = 0;
/** Bytes of stdin (to the supervisor) or of stdout (from it). */
export const KIND_DATA = 1;
/** Bytes of stderr. */
export const KIND_ERROR = 2;

const MAX_FRAME = 16 * 1024 * 1024;

/** One frame, ready to be written. */
export function encodeFrame(kind, payload) {
  const header = Buffer.allocUnsafe(5);
  header.writeUInt32BE(payload.length, 0);
  header[4] = kind;
  return Buffer.concat([header, payload]);
}

/** A JSON frame. */
export function encodeMessage(message) {
  return encodeFrame(KIND_MESSAGE, Buffer.from(JSON.stringify(message)));
}

/** Cuts what a socket delivers into frames again. */
export class FrameReader {
  #rest = Buffer.alloc(0);

  /** Calls `onFrame(kind, payload)` for each complete frame; throws for one that is too long. */
  push(chunk, onFrame) {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    while (data.length >= 5) {
      const length = data.readUInt32BE(0);
      if (length > MAX_FRAME) throw new Error(`A frame of ${length} bytes is over the limit`);
      if (data.length < 5 + length) break;
      onFrame(data[4], data.subarray(5, 5 + length));
      data = data.subarray(5 + length);
    }
    this.#rest = data;
  }
}

/**
 * Calls `use` with a path for the socket `name` in `directory` that is short enough for the kernel
 * (107 bytes), whatever the directory is called. The path is good during the call only.
 */
export function withSocketPath(directory, use, name = "sock") {
  const path = `${directory}/${name}`;
  if (Buffer.byteLength(path) < 100) return use(path);
  // Supervisors are near; and a server needs a path that stays good until it is closed.
  const near = `./${relative(process.cwd(), path)}`;
  if (Buffer.byteLength(near) < 100 || process.platform !== "linux") return use(near);
  const fd = openSync(directory, "r");
  try {
    // bind and connect happen inside `use`; the kernel follows the link once.
    return use(`/proc/self/fd/${fd}/${name}`);
  } finally {
    setImmediate(() => closeSync(fd));
  }
}
