import type { Socket } from "node:net";

const SIZE = 65_536;

type Slots = Record<symbol, unknown> & { _handle?: { useUserBuffer?(buffer: Buffer): void } };

/**
 * Lets accepted sockets read into one shared buffer, as `onread` does for sockets that connect.
 * Node has no option for accepted ones, and its own buffer of 64 KiB for each read would be the
 * larger part of the garbage that a request leaves. What is kept longer than the callback must be
 * copied.
 */
export class SharedReader {
  readonly buffer = Buffer.allocUnsafeSlow(SIZE);
  #slots: { readonly buffer: symbol; readonly callback: symbol } | null | undefined;

  /**
   * @param receive - Called with the number of octets in {@link buffer}, `this` being the socket.
   * @returns false where this Node does not allow it; `data` events have to serve then.
   */
  attach(socket: Socket, receive: (this: never, bytes: number) => void): boolean {
    const slots = socket as unknown as Slots;
    const { _handle: handle } = slots;
    // A subclass (TLS) or octets that were read already take the usual way.
    if (socket.constructor.name !== "Socket" || socket.readableLength > 0) return false;
    if (typeof handle?.useUserBuffer !== "function") return false;
    this.#slots ??= findSlots(socket);
    if (this.#slots === null || slots[this.#slots.buffer] !== null) return false;
    slots[this.#slots.buffer] = this.buffer;
    slots[this.#slots.callback] = receive;
    handle.useUserBuffer(this.buffer);
    return true;
  }
}

/** The places that `onread` fills; they are symbols without a name of their own. */
function findSlots(socket: Socket): { readonly buffer: symbol; readonly callback: symbol } | null {
  const names = new Map(
    Object.getOwnPropertySymbols(socket).map((symbol) => [symbol.description, symbol]),
  );
  const buffer = names.get("kBuffer");
  const callback = names.get("kBufferCb");
  if (buffer === undefined || callback === undefined || !names.has("kBufferGen")) return null;
  return { buffer, callback };
}
