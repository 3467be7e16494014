import type { Clock } from "../clock.ts";
import { RETRY } from "./backoff.ts";
import type { Batch } from "./batch.ts";
import type { Condition } from "./condition.ts";
import type { DrainOutput } from "./drain-parts.ts";
import type { Intake } from "./intake.ts";
import type { Ledger, LossCause } from "./ledger.ts";
import type { LossReport } from "./loss-report.ts";
import type { SendOutcome } from "./transport/transport.ts";

/** What {@link Books} keep account of. */
export interface BooksParts {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly intake: Intake;
  readonly condition: Condition;
  readonly lossReport: LossReport;
  /** Batches that are not done with. */
  readonly inFlight: Set<Batch>;
  readonly output: () => DrainOutput;
  readonly onSuccess: () => void;
}

/** Says what an outcome means for a batch, and enters it in the ledger (spec/logplex.md §9.2, §10.2). */
export class Books {
  readonly #parts: BooksParts;

  constructor(parts: BooksParts) {
    this.#parts = parts;
  }

  /** Books the outcome; true when the batch is done with. */
  conclude(batch: Batch, outcome: SendOutcome): boolean {
    const now = this.#parts.clock.now();
    switch (outcome.kind) {
      case "delivered":
        this.#succeed(now);
        this.#bookDelivered(batch, outcome.rejected ?? 0, now);
        return true;
      case "too-large":
        this.#succeed(now);
        this.loseBatch(batch, "too-large");
        return true;
      case "rejected":
        this.#parts.condition.failed(outcome.reason, now);
        this.loseBatch(batch, "rejected");
        return true;
      default:
        return this.#failed(batch, outcome, now);
    }
  }

  #succeed(now: number): void {
    this.#parts.onSuccess();
    this.#parts.condition.succeeded(now);
  }

  #bookDelivered(batch: Batch, rejected: number, now: number): void {
    const { ledger, inFlight, lossReport } = this.#parts;
    inFlight.delete(batch);
    if (batch.replay !== undefined) {
      ledger.replayed += batch.messages.length;
      return;
    }
    const count = batch.messages.length;
    const refused = Math.min(count, rejected);
    ledger.delivered += count - refused;
    ledger.lose("rejected", batch.firstSeq, batch.lastSeq, refused, now);
    if (batch.announcement) ledger.announced(batch.announcement.count, now);
    if (refused > 0) lossReport.check();
  }

  #failed(batch: Batch, outcome: SendOutcome, now: number): boolean {
    const { condition } = this.#parts;
    const output = this.#parts.output();
    const cause = condition.judge(outcome, output.masked, now);
    if (condition.isGone(now)) {
      this.#disable("answered 410 for 24 hours", now);
      return true;
    }
    const since = Math.max(condition.failingSince ?? now, batch.newestMs);
    const spooled = output.options.onFull === "spool";
    if (now - since < (spooled ? RETRY.spoolMaxAgeMs : RETRY.maxAgeMs)) return false;
    this.loseBatch(batch, cause);
    return true;
  }

  #disable(reason: string, now: number): void {
    this.#parts.intake.close();
    this.dropPending("disabled");
    this.#parts.condition.disable(reason, now);
  }

  /** Gives up everything that waits. */
  dropPending(cause: LossCause): void {
    const { inFlight, intake, ledger, clock } = this.#parts;
    for (const batch of [...inFlight]) this.loseBatch(batch, cause);
    const count = intake.unread;
    const { fromSeq, toSeq } = intake.abandon();
    ledger.lose(cause, fromSeq, toSeq, count, clock.now());
  }

  /** Gives up a batch; what is sent once more is no loss. */
  loseBatch(batch: Batch, cause: LossCause): void {
    const { inFlight, ledger, lossReport, clock } = this.#parts;
    if (!inFlight.delete(batch) || batch.replay !== undefined) return;
    ledger.lose(cause, batch.firstSeq, batch.lastSeq, batch.messages.length, clock.now());
    lossReport.check();
  }

  /** Gives up all numbers of a range, which may be empty. */
  lose(cause: LossCause, fromSeq: number, toSeq: number): void {
    const { ledger, clock } = this.#parts;
    ledger.lose(cause, fromSeq, toSeq, toSeq - fromSeq + 1, clock.now());
  }
}
