import type { Socket } from "node:net";

const SIZE = 66_560;
const SPARE = 64;
/** Below this Node cuts buffers out of a pool of its own. */
const SMALL = 4096;

/** Buffers for large writes that are used again once their write is done. */
export class WriteBuffers {
  readonly #spare: Buffer[] = [];

  /** A buffer of at least `bytes` octets. Give it back with {@link write}. */
  take(bytes: number): Buffer {
    if (bytes < SMALL || bytes > SIZE) return Buffer.allocUnsafe(bytes);
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(SIZE);
  }

  /** A buffer for one large read, to be given back with {@link giveBack}. */
  takeLarge(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(SIZE);
  }

  /** Takes back a buffer that nobody reads or writes any more. */
  giveBack(buffer: Buffer): void {
    if (this.#spare.length < SPARE) this.#spare.push(buffer);
  }

  /** Writes the first octets of a buffer; it is taken back when the system has them. */
  write(socket: Socket, buffer: Buffer, bytes: number): void {
    if (buffer.length !== SIZE) {
      socket.write(buffer);
      return;
    }
    socket.write(buffer.subarray(0, bytes), (error) => {
      if (error === undefined || error === null) this.giveBack(buffer);
    });
  }
}
