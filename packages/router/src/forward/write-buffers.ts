import type { Socket } from "node:net";

const SIZE = 66_560;
const SPARE = 64;
/** A body that comes in reads of this size gets buffers of its own, which are not copied. */
export const LARGE_READ = 16_384;
/** Up to this a write is small. */
const SMALL = 4096;

/** Small writes are cut out of pages of this size. */
const PAGE = 16_384;

/** Buffers for writes that are used again once their write is done. */
export class WriteBuffers {
  readonly #spare: Buffer[] = [];
  #page = Buffer.allocUnsafeSlow(PAGE);
  #used = 0;

  /** Room for at most 4 KiB that begins at {@link offset}. Write it with {@link writeSmall}. */
  small(): Buffer {
    if (PAGE - this.#used < SMALL) {
      this.#page = Buffer.allocUnsafeSlow(PAGE);
      this.#used = 0;
    }
    return this.#page;
  }

  /** Where the room of {@link small} begins. */
  get offset(): number {
    return this.#used;
  }

  /** Whether {@link small} has room for so much. */
  isSmall(bytes: number): boolean {
    return bytes <= SMALL;
  }

  /**
   * Writes the first octets of what {@link small} gave. Nearly always the system takes them at
   * once, and the room is free again; else it stays with the write. For sockets of the system
   * only: others hand buffers on.
   */
  writeSmall(socket: Socket, bytes: number): void {
    const start = this.#used;
    const end = start + bytes;
    this.#used = end;
    socket.write(this.#page.subarray(start, end));
    if (socket.writableLength === 0 && this.#used === end) this.#used = start;
  }

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
