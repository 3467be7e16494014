import type { AttemptRecord, Phase } from "./exchange/attempt-record.ts";
import type { EndedRequest, Observed, RequestTrace } from "./observer.ts";

const MOST = 10_000;
/** Longer ids are kept as strings; those that the router makes have 36 octets. */
const ID_OCTETS = 40;

/**
 * The last ten thousand requests, for `/requests/<id>`.
 *
 * Places are used again, and ids are kept as octets: ten thousand new objects and strings in flow
 * would each be moved twice by the collector, which cost more than the parsing of the request.
 */
export class RecentRequests {
  readonly #slots: Slot[] = [];
  readonly #ids = new Uint8Array(MOST * ID_OCTETS);
  #next = 0;

  /** Notes a request that is over. */
  add(exchange: Observed, record: EndedRequest, totalMs: number): void {
    const at = this.#next;
    let slot = this.#slots[at];
    if (slot === undefined) {
      slot = new Slot();
      this.#slots.push(slot);
    }
    this.#keepId(at, slot, record.requestId);
    slot.app = record.app;
    slot.status = record.status;
    slot.code = record.code;
    slot.cause = record.cause;
    slot.phase = record.phase;
    slot.startedAt = exchange.startedEpoch;
    slot.queueMs = exchange.queueMs;
    slot.connectMs = exchange.connectMs;
    slot.firstByteMs = exchange.firstByteMs;
    slot.totalMs = totalMs;
    slot.remember(exchange.attempts);
    this.#next = at + 1 === MOST ? 0 : at + 1;
  }

  #keepId(at: number, slot: Slot, id: string): void {
    const { length } = id;
    slot.idLength = length;
    if (length > ID_OCTETS) {
      slot.longId = id;
      return;
    }
    const start = at * ID_OCTETS;
    for (let i = 0; i < length; i++) this.#ids[start + i] = id.charCodeAt(i);
  }

  #hasId(at: number, slot: Slot, id: string): boolean {
    if (slot.idLength !== id.length) return false;
    if (id.length > ID_OCTETS) return slot.longId === id;
    const start = at * ID_OCTETS;
    for (let i = 0; i < id.length; i++) if (this.#ids[start + i] !== id.charCodeAt(i)) return false;
    return true;
  }

  /** A request by its id, newest first. */
  find(requestId: string): RequestTrace | undefined {
    const { length } = this.#slots;
    for (let i = 1; i <= length; i++) {
      const at = (this.#next - i + length) % length;
      const slot = this.#slots[at] as Slot;
      if (this.#hasId(at, slot, requestId)) return slot.copy(requestId);
    }
    return undefined;
  }
}

/** One place in the ring. */
class Slot {
  idLength = 0;
  longId = "";
  app = "";
  status = 0;
  code: string | null = null;
  cause: string | null = null;
  phase: Phase = "done";
  startedAt = 0;
  queueMs = 0;
  connectMs = 0;
  firstByteMs = 0;
  totalMs = 0;
  #dyno = "";
  #id = "";
  #startedMs = 0;
  #connectMs = 0;
  #reused = false;
  #outcome = "";
  /** Only a request with several attempts keeps its list. */
  #several: readonly AttemptRecord[] | null = null;
  #count = 0;

  remember(attempts: readonly AttemptRecord[]): void {
    this.#count = attempts.length;
    this.#several = attempts.length > 1 ? attempts : null;
    const first = attempts[0];
    if (first === undefined) return;
    this.#dyno = first.dyno;
    this.#id = first.id;
    this.#startedMs = first.startedMs;
    this.#connectMs = first.connectMs;
    this.#reused = first.reused;
    this.#outcome = first.outcome;
  }

  copy(requestId: string): RequestTrace {
    const single: AttemptRecord = {
      dyno: this.#dyno,
      id: this.#id,
      startedMs: this.#startedMs,
      connectMs: this.#connectMs,
      reused: this.#reused,
      outcome: this.#outcome,
    };
    return {
      requestId,
      app: this.app,
      status: this.status,
      code: this.code,
      cause: this.cause,
      phase: this.phase,
      startedAt: this.startedAt,
      queueMs: this.queueMs,
      connectMs: this.connectMs,
      firstByteMs: this.firstByteMs,
      totalMs: this.totalMs,
      attempts: this.#several ?? (this.#count === 0 ? [] : [single]),
    };
  }
}
