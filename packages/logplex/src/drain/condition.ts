import { RETRY, retryDelayMs } from "./backoff.ts";
import type { DrainHealth, DrainState } from "./health.ts";
import type { LossCause } from "./ledger.ts";
import { certificateNotice, type DrainNotice, rejectedNotice } from "./notices.ts";
import type { SendOutcome } from "./transport/transport.ts";

const NOTICE_EVERY_MS = 3_600_000;
const MAX_COMPLAINTS = 32;

/** Whether the receiver or the policy refuses, so that trying more often would help nobody. */
function isRefusal({ kind }: SendOutcome): boolean {
  return kind === "refused" || kind === "gone" || kind === "blocked";
}

/** What the tries of a drain have shown of its receiver, and what its owner was told of it. */
export class Condition {
  readonly #token: string;
  readonly #notify: (notice: DrainNotice) => void;
  readonly #onState: (from: DrainState, to: DrainState) => void;
  readonly #noticed = new Map<string, number>();
  #state: DrainState = "healthy";
  #failures = 0;
  #failingSince: number | undefined;
  #heldSince: number | undefined;
  #goneSince: number | undefined;
  #disabled: string | undefined;
  #lastError: DrainHealth["lastError"];
  #lastSuccessAt: number | undefined;

  constructor(options: {
    readonly token: string;
    readonly notify: (notice: DrainNotice) => void;
    /** Told of every change, and before it of every look. */
    readonly onState: (from: DrainState, to: DrainState) => void;
  }) {
    this.#token = options.token;
    this.#notify = options.notify;
    this.#onState = options.onState;
  }

  get state(): DrainState {
    return this.#state;
  }

  get disabled(): string | undefined {
    return this.#disabled;
  }

  get goneSince(): number | undefined {
    return this.#goneSince;
  }

  /** Since when nothing was delivered although it was tried, ms. */
  get failingSince(): number | undefined {
    return this.#failingSince;
  }

  /** What is shown of it. */
  get view(): Pick<
    DrainHealth,
    "state" | "failures" | "lastError" | "lastSuccessAt" | "failingSince" | "disabled"
  > {
    return {
      state: this.#state,
      failures: this.#failures,
      ...(this.#lastError ? { lastError: this.#lastError } : {}),
      ...(this.#lastSuccessAt === undefined ? {} : { lastSuccessAt: this.#lastSuccessAt }),
      ...(this.#failingSince === undefined ? {} : { failingSince: this.#failingSince }),
      ...(this.#disabled === undefined ? {} : { disabled: this.#disabled }),
    };
  }

  /** Takes over what an earlier process knew. */
  restore(disabled: string | undefined, goneSince: number | undefined): void {
    this.#disabled = disabled;
    this.#goneSince = goneSince;
  }

  /** Another receiver: what was known of the old one means nothing. */
  forget(): void {
    this.#failures = 0;
    this.#failingSince = undefined;
    this.#heldSince = undefined;
    this.#goneSince = undefined;
    this.#disabled = undefined;
    this.#look();
  }

  succeeded(now: number): void {
    this.#failures = 0;
    this.#failingSince = undefined;
    this.#heldSince = undefined;
    this.#goneSince = undefined;
    this.#lastSuccessAt = now;
    this.#look();
  }

  failed(reason: string, now: number): void {
    this.#failures++;
    this.#failingSince ??= now;
    this.#lastError = { reason, at: now };
    this.#look();
  }

  /** Something of this process failed, not the receiver. */
  trouble(reason: string, now: number): void {
    this.#lastError = { reason, at: now };
  }

  /**
   * Books a try after which the batch stays. Returns the cause of the loss if it is not tried any
   * more once it is too old.
   */
  judge(outcome: SendOutcome, masked: string, now: number): LossCause {
    const held = isRefusal(outcome);
    this.failed("reason" in outcome ? outcome.reason : outcome.kind, now);
    this.#heldSince = held ? (this.#heldSince ?? now) : undefined;
    this.#goneSince = outcome.kind === "gone" ? (this.#goneSince ?? now) : undefined;
    this.#tell(outcome, masked, now);
    this.#look();
    if (outcome.kind === "blocked") return "blocked";
    return held ? "held" : "expired";
  }

  /** Whether the receiver has said for a day that it is gone. */
  isGone(now: number): boolean {
    return this.#goneSince !== undefined && now - this.#goneSince >= RETRY.goneMs;
  }

  disable(reason: string, now: number): void {
    this.#disabled = reason;
    const notice = rejectedNotice(this.#token, `${reason} and was disabled`);
    this.#notice("L16 disabled", notice, now);
    this.#look();
  }

  /** Pause before the next try, ms. */
  retryDelay(outcome: SendOutcome, random: () => number): number {
    if (isRefusal(outcome)) return RETRY.probeMs;
    const wish = outcome.kind === "temporary" ? outcome.retryAfterMs : undefined;
    return retryDelayMs(this.#failures, random, wish);
  }

  #tell(outcome: SendOutcome, masked: string, now: number): void {
    if (outcome.kind === "certificate") {
      const notice = certificateNotice(outcome.reason, masked, outcome.certificate);
      this.#notice(`L14 ${outcome.reason}`, notice, now);
      this.#lastError = {
        reason: outcome.reason,
        at: now,
        ...(outcome.certificate ? { certificate: outcome.certificate } : {}),
      };
    } else if (outcome.kind === "temporary" && outcome.redirect !== undefined) {
      this.#notice("L16 redirect", rejectedNotice(this.#token, outcome.reason), now);
    } else if (
      outcome.kind === "refused" ||
      outcome.kind === "gone" ||
      outcome.kind === "blocked" ||
      (outcome.kind === "temporary" && outcome.unresolved)
    ) {
      this.#notice(`L16 ${outcome.reason}`, rejectedNotice(this.#token, outcome.reason), now);
    }
  }

  /** The same complaint at most once an hour. */
  #notice(key: string, notice: DrainNotice, now: number): void {
    const last = this.#noticed.get(key);
    if (last !== undefined && now - last < NOTICE_EVERY_MS) return;
    if (this.#noticed.size >= MAX_COMPLAINTS) this.#noticed.clear();
    this.#noticed.set(key, now);
    this.#notify(notice);
  }

  #look(): void {
    const from = this.#state;
    this.#state = this.#stateNow();
    this.#onState(from, this.#state);
  }

  #stateNow(): DrainState {
    if (this.#disabled !== undefined) return "disabled";
    if (this.#heldSince !== undefined) return "held";
    if (this.#failures >= RETRY.openAfter) return "open";
    return this.#failures > 0 ? "degraded" : "healthy";
  }
}
