import { createHash } from "node:crypto";
import type { Clock } from "../../clock.ts";
import type { NatsLink } from "./nats-link.ts";

/** Frame ids that were taken, for all processes. */
export class NatsFrames {
  readonly #link: NatsLink;
  readonly #clock: Clock;

  constructor(link: NatsLink, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
  }

  /** Tells whether the id is new. */
  async claim(key: string, ttlMs: number): Promise<boolean> {
    const subject = this.#subject(key);
    const until = Buffer.from(String(this.#clock.now() + ttlMs));
    if ((await this.#link.publish(subject, until, 0)) !== undefined) return true;
    const last = await this.#link.last("frames", subject);
    // The stream forgets by itself, but only after the longest time there is.
    if (last !== undefined && Number(Buffer.from(last.data).toString()) > this.#clock.now())
      return false;
    return (await this.#link.publish(subject, until, last?.seq ?? 0)) !== undefined;
  }

  async release(key: string): Promise<void> {
    await this.#link.purge("frames", this.#subject(key));
  }

  /** Ids come from senders: any text, of any length. */
  #subject(key: string): string {
    return this.#link.subject("frames", createHash("sha256").update(key).digest("hex"));
  }
}
