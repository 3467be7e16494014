import type { Socket } from "node:net";
import { Timed, type TimerWheel } from "../time/wheel.ts";

class Waiting extends Timed {
  readonly #expired: () => void;
  constructor(expired: () => void) {
    super();
    this.#expired = expired;
  }
  override onDeadline(): void {
    this.#expired();
  }
}

/** Accepted sockets that are not handed over yet, each with a limit. */
export class WaitingSockets {
  readonly #wheel: TimerWheel;
  readonly #entries = new Map<Socket, Waiting>();

  constructor(wheel: TimerWheel) {
    this.#wheel = wheel;
  }

  /** Holds a socket until {@link release}, its end, or for `ms`; then `expired`, which must end it. */
  hold(socket: Socket, ms: number, expired: () => void = () => socket.destroy()): void {
    this.#set(socket, ms, expired);
    socket.once("close", () => this.release(socket));
  }

  #set(socket: Socket, ms: number, expired: () => void): void {
    const entry = new Waiting(expired);
    this.#entries.set(socket, entry);
    this.#wheel.set(entry, ms);
  }

  /** The socket waits no more. */
  release(socket: Socket): void {
    const entry = this.#entries.get(socket);
    if (entry === undefined) return;
    this.#entries.delete(socket);
    this.#wheel.remove(entry);
  }

  /** Closes all of them. */
  destroy(): void {
    for (const socket of [...this.#entries.keys()]) {
      this.release(socket);
      socket.destroy();
    }
  }

  /** Reads first octets until `test` says how many of them are used; the rest goes back, then `next`. */
  readStart(
    socket: Socket,
    limitMs: number,
    test: (octets: Buffer) => number | "more" | "bad",
    next: () => void,
  ): void {
    let octets = Buffer.alloc(0);
    const finish = () => {
      socket.off("readable", onReadable);
      socket.off("close", finish);
      this.release(socket);
    };
    const onReadable = () => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read())
        octets = Buffer.concat([octets, chunk]);
      const used = test(octets);
      if (used === "more") {
        if (socket.readableEnded) socket.destroy();
        return;
      }
      finish();
      if (used === "bad") {
        socket.destroy();
        return;
      }
      if (used < octets.length) socket.unshift(octets.subarray(used));
      next();
    };
    socket.on("readable", onReadable);
    socket.on("close", finish);
    this.#set(socket, limitMs, () => socket.destroy());
  }
}
