import type { Socket } from "node:net";

const SIZE = 65_536;

/**
 * Buffers for one connection's reads are lent, and come back when all that was written from one
 * is out. One that is never given back is the garbage collector's.
 */
export class ReadLease {
  #holds = 1;
  readonly #giveBack: () => void;

  constructor(giveBack: () => void) {
    this.#giveBack = giveBack;
  }

  /** Something else needs the octets; ends with {@link release}. */
  hold(): void {
    this.#holds++;
  }

  /** Shaped as the callback of a write; a write that failed keeps the buffer. */
  readonly release = (error?: Error | null): void => {
    if (error === undefined || error === null) this.#holds--;
    if (this.#holds === 0) this.#giveBack();
  };
}

type Slots = Record<symbol, unknown> & { _handle?: { useUserBuffer?(buffer: Buffer): void } };

/**
 * Lets accepted sockets read into one shared buffer, as `onread` does for sockets that connect.
 * Node has no option for accepted ones, and its own buffer of 64 KiB for each read would be the
 * larger part of the garbage that a request leaves. What is kept longer than the callback must be
 * copied.
 */
export class SharedReader {
  readonly buffer = Buffer.allocUnsafeSlow(SIZE);
  /** Buffer for the next read of the socket whose callback runs; undefined leaves it as it is. */
  next: Buffer | undefined;
  readonly #generate = (): Buffer | undefined => {
    const { next } = this;
    this.next = undefined;
    return next;
  };
  #slots: SlotNames | null | undefined;

  /**
   * @param receive - Called with the number of octets and their buffer, `this` being the socket.
   * That buffer is {@link buffer} until the callback sets {@link next}.
   * @returns false where this Node does not allow it; `data` events have to serve then.
   */
  attach(socket: Socket, receive: (this: never, bytes: number, buffer: Buffer) => void): boolean {
    const slots = socket as unknown as Slots;
    const { _handle: handle } = slots;
    // A subclass (TLS) or octets that were read already take the usual way.
    if (socket.constructor.name !== "Socket" || socket.readableLength > 0) return false;
    if (typeof handle?.useUserBuffer !== "function") return false;
    this.#slots ??= findSlots(socket);
    if (this.#slots === null || slots[this.#slots.buffer] !== null) return false;
    slots[this.#slots.buffer] = this.buffer;
    slots[this.#slots.callback] = receive;
    slots[this.#slots.generator] = this.#generate;
    handle.useUserBuffer(this.buffer);
    return true;
  }
}

interface SlotNames {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly generator: symbol;
}

/** The places that `onread` fills; they are symbols without a name of their own. */
function findSlots(socket: Socket): SlotNames | null {
  const names = new Map(
    Object.getOwnPropertySymbols(socket).map((symbol) => [symbol.description, symbol]),
  );
  const buffer = names.get("kBuffer");
  const callback = names.get("kBufferCb");
  const generator = names.get("kBufferGen");
  if (buffer === undefined || callback === undefined || generator === undefined) return null;
  return { buffer, callback, generator };
}
