import { createHash } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { LogBuffer } from "../spool/buffer.ts";

/** How long a frame id is remembered (spec/logplex.md §5.1). */
export const FRAME_ID_TTL_MS = 10 * 60_000;
const MAX_IDS = 200_000;

/** Remembers the frame ids of accepted requests, so that a repeated one is not stored twice. */
export class FrameIds {
  readonly #clock: Clock;
  /** Insertion order is the order of expiry. */
  readonly #until = new Map<string, number>();
  /** Remembers for all processes that share a buffer. */
  readonly #shared: Pick<LogBuffer, "claimFrame" | "releaseFrame"> | undefined;

  constructor(clock: Clock, shared?: Pick<LogBuffer, "claimFrame" | "releaseFrame">) {
    this.#clock = clock;
    this.#shared = shared?.claimFrame === undefined ? undefined : shared;
  }

  /** Whether no other process has this id; undefined: there is no other process. */
  claim(writer: string, id: string): Promise<boolean> | undefined {
    return this.#shared?.claimFrame?.(sharedKey(writer, id), FRAME_ID_TTL_MS);
  }

  /** Takes a claim back, because nothing was stored. */
  async release(writer: string, id: string): Promise<void> {
    await this.#shared?.releaseFrame?.(sharedKey(writer, id));
  }

  /** Whether this writer sent this id within the last 10 minutes. */
  has(writer: string, id: string): boolean {
    const until = this.#until.get(`${writer}\0${id}`);
    return until !== undefined && until > this.#clock.now();
  }

  delete(writer: string, id: string): void {
    this.#until.delete(`${writer}\0${id}`);
  }

  add(writer: string, id: string): void {
    const now = this.#clock.now();
    for (const [key, until] of this.#until) {
      if (until > now && this.#until.size < MAX_IDS) break;
      this.#until.delete(key);
    }
    const key = `${writer}\0${id}`;
    this.#until.delete(key);
    this.#until.set(key, now + FRAME_ID_TTL_MS);
  }
}

/** The writer may be a token, which is a secret. */
function sharedKey(writer: string, id: string): string {
  return createHash("sha256").update(`${writer}\0${id}`).digest("hex");
}
