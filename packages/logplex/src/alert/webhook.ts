import type { Clock } from "../clock.ts";
import { retryDelayMs } from "../drain/backoff.ts";
import type { DrainTransport } from "../drain/transport/transport.ts";
import { messageToJson } from "../ring/ring-message.ts";
import type { AlertEvent } from "./alert.ts";

const TRIES = 5;

/** Posts alerts as JSON. A failure that may pass is tried again; the last one rejects. */
export class Webhook {
  readonly #transport: DrainTransport;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #stop = new AbortController();

  constructor(transport: DrainTransport, clock: Clock, random: () => number) {
    this.#transport = transport;
    this.#clock = clock;
    this.#random = random;
  }

  async send({ message, ...alert }: AlertEvent): Promise<void> {
    const text = JSON.stringify({ ...alert, message: messageToJson(message) });
    const frame = {
      id: `${alert.at}-${message.seq}`,
      body: Buffer.from(text),
      contentType: "application/json",
      count: 1,
    };
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#transport.send(frame, this.#stop.signal);
      if (outcome.kind === "delivered" || outcome.kind === "aborted") return;
      if (outcome.kind !== "temporary" || attempt === TRIES)
        throw new Error("reason" in outcome ? outcome.reason : outcome.kind);
      await this.#pause(retryDelayMs(attempt, this.#random, outcome.retryAfterMs));
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#stop;
      const done = (): void => {
        this.#clock.clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = this.#clock.setTimeout(done, ms);
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted) done();
    });
  }

  /** Gives up what is on its way. Idempotent. */
  close(): void {
    this.#stop.abort();
    // Ends the connection; nothing that could fail is left to tell.
    void this.#transport.close();
  }
}
