import { randomBytes } from "node:crypto";
import type { Server as TlsServer } from "node:tls";
import { Timed, type TimerWheel } from "../time/wheel.ts";

const TICKET_KEY_MS = 12 * 3_600_000;

/** Renews the key of session tickets, so that a stolen one opens half a day at most. */
export class TicketTimer extends Timed {
  readonly #server: TlsServer;
  readonly #wheel: TimerWheel;
  constructor(server: TlsServer, wheel: TimerWheel) {
    super();
    this.#server = server;
    this.#wheel = wheel;
    wheel.set(this, TICKET_KEY_MS);
  }
  override onDeadline(): void {
    this.#server.setTicketKeys(randomBytes(48));
    this.#wheel.set(this, TICKET_KEY_MS);
  }
  stop(): void {
    this.#wheel.remove(this);
  }
}
