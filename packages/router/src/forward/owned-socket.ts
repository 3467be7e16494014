import type { Socket } from "node:net";
import type { SharedReader } from "./shared-read.ts";

/** What is told about a socket; a connection of a client. */
export interface SocketOwner {
  onData(chunk: Buffer): void;
  /** Octets in a buffer that is only valid during the call. */
  onRead(bytes: number, buffer: Buffer): void;
  onDrain(): void;
  onEnd(): void;
  onError(error: Error): void;
  onClose(): void;
}

const owner = Symbol("owner");
type OwnedSocket = Socket & { [owner]?: SocketOwner };

// Shared by all connections: a listener of its own per connection would cost memory.
function onData(this: OwnedSocket, chunk: Buffer): void {
  this[owner]?.onData(chunk);
}
function onDrain(this: OwnedSocket): void {
  this[owner]?.onDrain();
}
function onEnd(this: OwnedSocket): void {
  this[owner]?.onEnd();
}
function onClose(this: OwnedSocket): void {
  this[owner]?.onClose();
}
function onError(this: OwnedSocket, error: Error): void {
  this[owner]?.onError(error);
}

function onRead(this: OwnedSocket, bytes: number, buffer: Buffer): void {
  this[owner]?.onRead(bytes, buffer);
}

/**
 * Tells `by` from now on what happens on the socket.
 *
 * @returns whether reads go into the buffer of the reader; else they come as `data`.
 */
export function own(socket: Socket, by: SocketOwner, reader: SharedReader): boolean {
  (socket as OwnedSocket)[owner] = by;
  const shared = reader.attach(socket, onRead);
  if (!shared) socket.on("data", onData);
  socket.on("drain", onDrain);
  socket.on("end", onEnd);
  socket.on("error", onError);
  socket.on("close", onClose);
  return shared;
}
