import type { Clock } from "../clock.ts";
import { Pauses } from "../pauses.ts";
import { RETRY } from "./backoff.ts";
import { Batch } from "./batch.ts";
import { BatchSizer } from "./batch-sizer.ts";
import { Books } from "./books.ts";
import { Condition } from "./condition.ts";
import type { DrainDependencies, DrainOutput, DrainPreview } from "./drain-parts.ts";
import type { FrameAnnouncement } from "./encode/encoder.ts";
import type { DrainHealth } from "./health.ts";
import { Intake } from "./intake.ts";
import { Journal } from "./journal.ts";
import { Ledger, type LedgerView } from "./ledger.ts";
import { LossReport } from "./loss-report.ts";
import { encodeBatch } from "./outgoing.ts";
import { Relief } from "./relief.ts";
import { Replays, type ReplayTicket } from "./replays.ts";
import { Latch } from "./signal.ts";
import { DrainSpool } from "./store/drain-spool.ts";
import type { DrainRecord } from "./store/drain-store.ts";
import { testMessage } from "./test-message.ts";
import type { ProbeReport, SendOutcome } from "./transport/transport.ts";

/**
 * Delivers the messages of a channel to one receiver, in order, at least once. Every message that
 * is not delivered is in the ledger with its cause.
 */
export class Drain {
  readonly id: string;
  readonly token: string;
  readonly #dependencies: DrainDependencies;
  readonly #clock: Clock;
  readonly #ledger = new Ledger();
  readonly #intake: Intake;
  readonly #wake = new Latch();
  readonly #inFlight = new Set<Batch>();
  /** Batches of an earlier process that wait for their next try. */
  readonly #resumed: Batch[] = [];
  readonly #replays: Replays;
  readonly #journal: Journal;
  readonly #condition: Condition;
  readonly #relief: Relief;
  readonly #lossReport: LossReport;
  readonly #stop = new AbortController();
  #output: DrainOutput;
  #sizer: BatchSizer;
  /** One per request in flight. */
  readonly #attempts = new Set<AbortController>();
  readonly #pauses: Pauses;
  readonly #books: Books;
  #workers: Promise<void>[] = [];
  #paused = false;
  #flushing = false;
  #lingerTimer: unknown;
  #closing: Promise<LedgerView> | undefined;
  #retried = 0;

  constructor(dependencies: DrainDependencies, output: DrainOutput, fromSeq: number) {
    this.id = dependencies.id;
    this.token = dependencies.token;
    this.#dependencies = dependencies;
    this.#clock = dependencies.clock;
    this.#output = output;
    this.#sizer = new BatchSizer(output.options);
    this.#replays = new Replays(this.token);
    this.#journal = new Journal({
      id: this.id,
      store: dependencies.store,
      record: () => this.#record(),
      onFailure: () => this.#condition.trouble("its state could not be saved", this.#clock.now()),
    });
    const { notify, onState } = dependencies;
    this.#lossReport = new LossReport({
      clock: this.#clock,
      ledger: this.#ledger,
      token: this.token,
      notify,
    });
    this.#relief = new Relief({
      fill: () => this.#intake.fill,
      blocks: () =>
        this.#output.options.onFull === "block" &&
        this.#condition.disabled === undefined &&
        !this.#stop.signal.aborted,
    });
    this.#condition = new Condition({
      token: this.token,
      notify,
      onState: (from, to) => {
        this.#relief.check();
        if (from !== to) onState?.(from, to);
      },
    });
    this.#intake = new Intake({
      source: dependencies.source,
      ledger: this.#ledger,
      query: output.options.query,
      fromSeq,
      spool: dependencies.spool && new DrainSpool(dependencies.id, dependencies.spool),
      now: () => this.#clock.now(),
      onChange: () => {
        this.#lossReport.check();
        this.#wake.set();
      },
    });
    this.#intake.spooling = output.options.onFull === "spool";
    this.#pauses = new Pauses(this.#clock);
    this.#books = new Books({
      clock: this.#clock,
      ledger: this.#ledger,
      intake: this.#intake,
      condition: this.#condition,
      lossReport: this.#lossReport,
      inFlight: this.#inFlight,
      output: () => this.#output,
      onSuccess: () => this.#pauses.forget(),
    });
  }

  /** Takes over the record of an earlier process and starts to deliver. */
  async start(): Promise<void> {
    const record = await this.#journal.load();
    if (record) await this.#restore(record);
    const workers = this.#output.options.concurrency;
    for (let i = 0; i < workers; i++) this.#workers.push(this.#work());
  }

  async #restore(record: DrainRecord): Promise<void> {
    const { source } = this.#dependencies;
    this.#ledger.restore(record.ledger);
    this.#condition.restore(record.disabled, record.goneSince);
    const renumbered = record.epoch !== source.epoch || record.seenSeq > source.nextSeq;
    if (renumbered) {
      // The numbers of the record mean nothing any more: what was pending is gone.
      for (const { firstSeq, lastSeq } of record.boundaries)
        this.#books.lose("trimmed", firstSeq, lastSeq);
      this.#books.lose("trimmed", record.readSeq, record.seenSeq - 1);
      this.#intake.abandon();
      this.#intake.resume(source.firstSeq, source.firstSeq);
      return;
    }
    for (const boundary of record.boundaries) {
      const { firstSeq, lastSeq, announcement, attempts } = boundary;
      const taken = await this.#intake.bring(firstSeq, lastSeq);
      if (taken.trimmed > 0) this.#books.lose("trimmed", firstSeq, firstSeq + taken.trimmed - 1);
      this.#ledger.filtered += taken.filtered;
      if (taken.messages.length === 0) continue;
      this.#inFlight.add(new Batch(this.token, taken, taken.messages, { announcement, attempts }));
    }
    this.#resumed.push(...this.#inFlight);
    this.#intake.resume(record.seenSeq, record.readSeq, record.gaps);
  }

  get output(): DrainOutput {
    return this.#output;
  }

  get pending(): number {
    let count = this.#intake.unread;
    for (const batch of this.#inFlight)
      if (batch.replay === undefined) count += batch.messages.length;
    return count;
  }

  get ledger(): LedgerView {
    return this.#ledger.view(this.pending);
  }

  get health(): DrainHealth {
    const now = this.#clock.now();
    let bytes = this.#intake.unreadBytes;
    let oldest = this.#intake.oldestMs;
    for (const batch of this.#inFlight) {
      for (const message of batch.messages) bytes += message.body.length;
      const first = batch.messages[0];
      if (first) oldest = Math.min(oldest ?? Infinity, first.receivedAt / 1000);
    }
    return {
      ...this.#condition.view,
      paused: this.#paused,
      lag: {
        messages: this.pending,
        bytes,
        seconds: oldest === undefined ? 0 : Math.max(0, (now - oldest) / 1000),
      },
      retried: this.#retried,
      ...(this.#pauses.nextTryAt === undefined ? {} : { nextTryAt: this.#pauses.nextTryAt }),
    };
  }

  /**
   * With `onFull: "block"`, a promise while more than three quarters of the buffer wait: writers
   * that await it lose nothing. It settles when half of the buffer is free, or the drain ends.
   */
  get pressure(): Promise<void> | undefined {
    return this.#relief.wait;
  }

  /** Stops delivering; messages wait in the buffer and the oldest are lost when it is full. */
  pause(): void {
    this.#paused = true;
    this.#interrupt();
    this.#hurry();
  }

  resume(): void {
    this.#paused = false;
    this.#hurry();
  }

  /** Replaces the receiver and forgets the failures of the old one. */
  async replace(output: DrainOutput): Promise<void> {
    const old = this.#output;
    this.#output = output;
    this.#sizer = new BatchSizer(output.options);
    this.#intake.setQuery(output.options.query);
    this.#intake.spooling = output.options.onFull === "spool";
    for (const batch of this.#inFlight) batch.frame = undefined;
    if (this.#condition.disabled !== undefined) this.#intake.reopen();
    this.#condition.forget();
    this.#interrupt();
    this.#hurry();
    await old.transport.close();
  }

  /** Sends one marked line on a connection of its own and reports what happened. */
  async test(): Promise<ProbeReport> {
    const now = this.#clock.now();
    const line = testMessage(this.token, now);
    const batch = new Batch(`${this.token}\ntest ${now}`, { firstSeq: 0, lastSeq: 0 }, [line]);
    return this.#output.transport.probe(encodeBatch(batch, this.#output), this.#stop.signal);
  }

  /** The next batch as it would be sent, without sending it. */
  preview(): DrainPreview {
    const output = this.#output;
    const [current] = this.#inFlight;
    const from = this.#intake.readSeq;
    const to = Math.min(this.#intake.seenSeq, from + 100) - 1;
    // A filter's stages keep state, so a preview goes through a run of its own.
    const run = output.options.query?.pipeline();
    const { messages } = this.#dependencies.source.read(from, Math.max(0, to - from + 1));
    const next = messages.flatMap((message) => [...(run ? run.push(message) : [message])]);
    const batch =
      current ?? new Batch(this.token, { firstSeq: from, lastSeq: Math.max(from, to) }, next);
    const frame = encodeBatch(batch, output);
    return {
      head: output.transport.preview(frame),
      body: frame.body,
      frameId: frame.id,
      messages: frame.count,
    };
  }

  /** Sends messages that the channel still has once more, ahead of newer ones. */
  async replay(range: {
    readonly fromSeq: number;
    readonly toSeq?: number;
  }): Promise<ReplayTicket> {
    const { source } = this.#dependencies;
    const fromSeq = Math.max(1, range.fromSeq);
    const toSeq = Math.min(range.toSeq ?? source.nextSeq - 1, source.nextSeq - 1);
    const taken = await this.#intake.bring(fromSeq, toSeq);
    const ticket = this.#replays.add(taken, this.#sizer.limits(this.#output.encoder.overhead));
    this.#wake.set();
    // It may have been closed meanwhile.
    if (this.#stop.signal.aborted) this.#replays.end();
    return ticket;
  }

  /**
   * Stops following the channel, delivers what waits for at most `timeoutMs`, and keeps the rest in
   * the store. Idempotent.
   */
  close(timeoutMs: number): Promise<LedgerView> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<LedgerView> {
    this.#intake.close();
    this.#flushing = true;
    this.#hurry();
    const timer = this.#clock.setTimeout(() => this.#abort(), timeoutMs);
    if (timeoutMs <= 0 || this.#idle) this.#abort();
    await Promise.all(this.#workers);
    this.#clock.clearTimeout(timer);
    this.#abort();
    await this.#journal.save();
    this.#intake.release();
    await this.#output.transport.close();
    return this.ledger;
  }

  /** Ends at once; what waits is lost with the cause `removed`, and the record goes. */
  async remove(): Promise<LedgerView> {
    await this.close(0);
    this.#books.dropPending("removed");
    this.#lossReport.close();
    await this.#journal.remove();
    return this.ledger;
  }

  #abort(): void {
    this.#stop.abort();
    this.#interrupt();
    this.#lossReport.close();
    this.#clock.clearTimeout(this.#lingerTimer);
    this.#hurry();
    this.#relief.check();
    this.#replays.end();
  }

  /** Lets everything go that waits for time to pass. */
  #hurry(): void {
    this.#pauses.end();
    this.#wake.set();
  }

  get #idle(): boolean {
    return this.#paused || this.#condition.disabled !== undefined;
  }

  async #work(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const batch = this.#idle ? undefined : this.#next();
      if (batch) {
        await this.#deliver(batch);
        continue;
      }
      if (this.#flushing && this.#finished) return;
      if (!this.#idle && this.#intake.isAway) {
        await this.#fetch();
        continue;
      }
      await this.#wake.wait();
    }
  }

  /** Brings the next messages from the shared buffer; while it is away they wait. */
  async #fetch(): Promise<void> {
    try {
      await this.#intake.fetch();
    } catch {
      this.#condition.trouble("its messages could not be fetched", this.#clock.now());
      await this.#pause(RETRY.baseMs);
    }
  }

  get #finished(): boolean {
    return this.#intake.unread === 0 && this.#replays.waiting + this.#resumed.length === 0;
  }

  /** The next batch: those of an earlier process first, then replays, then the channel. */
  #next(): Batch | undefined {
    const resumed = this.#resumed.shift();
    if (resumed) return resumed;
    const replay = this.#replays.next();
    if (replay) this.#inFlight.add(replay);
    if (replay) return replay;
    return this.#cut();
  }

  #cut(): Batch | undefined {
    const now = this.#clock.now();
    const wait = this.#flushing
      ? 0
      : Math.max(this.#sizer.lingerMs(this.#intake.unread, now), this.#sortWaitMs(now));
    if (wait > 0) {
      this.#clock.clearTimeout(this.#lingerTimer);
      this.#lingerTimer = this.#clock.setTimeout(() => this.#wake.set(), wait);
      return undefined;
    }
    const { sortMs } = this.#output.options;
    const limits = {
      ...this.#sizer.limits(this.#output.encoder.overhead),
      // What was received in the future came before the clock was set back.
      holds:
        sortMs > 0 && !this.#flushing
          ? { after: (now - sortMs) * 1000, to: now * 1000 }
          : undefined,
    };
    for (;;) {
      const taken = this.#intake.take(limits);
      if (!taken) return undefined;
      if (taken.messages.length === 0) continue;
      const batch = new Batch(this.token, taken, taken.messages, {
        announcement: this.#announcement(now),
      });
      this.#sizer.cut(taken.messages.length, this.#intake.unread, now);
      this.#inFlight.add(batch);
      this.#relief.check();
      return batch;
    }
  }

  /** With `sortMs`, the time until the oldest message may go. */
  #sortWaitMs(now: number): number {
    const { sortMs } = this.#output.options;
    if (sortMs === 0) return 0;
    const oldest = this.#intake.oldestMs;
    return oldest === undefined || oldest > now ? 0 : Math.ceil(oldest + sortMs - now);
  }

  #announcement(now: number): FrameAnnouncement | undefined {
    const loss = this.#ledger.unannounced;
    if (!loss || this.#intake.hidesLoss) return undefined;
    // A batch of another worker announces it already.
    for (const batch of this.#inFlight) if (batch.announcement) return undefined;
    const range = this.#ledger.view(0).ranges.at(-1);
    return {
      ...loss,
      atUs: now * 1000,
      ...(range
        ? { fromSeq: range.toSeq - loss.count + 1, toSeq: range.toSeq, cause: range.cause }
        : {}),
    };
  }

  async #deliver(batch: Batch): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const output = this.#output;
      if (this.#idle) {
        if (!this.#inFlight.has(batch)) return;
        await this.#wake.wait();
        continue;
      }
      batch.attempts++;
      await this.#journal.save();
      if (this.#stop.signal.aborted) return;
      if (batch.attempts > 1) this.#retried += batch.messages.length;
      const began = this.#clock.now();
      const outcome = await this.#send(batch, output);
      this.#tried(batch, outcome, began);
      if (outcome.kind === "aborted") continue;
      if (outcome.kind === "too-large" && batch.messages.length > 1) {
        await this.#deliverHalves(batch);
        return;
      }
      if (this.#books.conclude(batch, outcome)) {
        const { frame } = batch;
        batch.frame = undefined;
        if (frame && outcome.kind === "delivered" && outcome.flushed)
          output.encoder.recycle?.(frame.body);
        await this.#settle(batch, outcome);
        return;
      }
      await this.#pause(this.#condition.retryDelay(outcome, this.#dependencies.random));
    }
  }

  #tried({ messages }: Batch, outcome: SendOutcome, began: number): void {
    const now = this.#clock.now();
    const first = messages[0]?.receivedAt ?? 0;
    const last = messages[messages.length - 1]?.receivedAt ?? 0;
    this.#dependencies.onTry?.({
      seconds: (now - began) / 1000,
      outcome: outcome.kind,
      messages: messages.length,
      firstAgeSeconds: (now - first / 1000) / 1000,
      lastAgeSeconds: (now - last / 1000) / 1000,
    });
  }

  async #send(batch: Batch, output: DrainOutput): Promise<SendOutcome> {
    const attempt = new AbortController();
    this.#attempts.add(attempt);
    try {
      return await output.transport.send(encodeBatch(batch, output), attempt.signal);
    } finally {
      this.#attempts.delete(attempt);
    }
  }

  /** Takes back the requests in flight; their batches are tried again. */
  #interrupt(): void {
    for (const attempt of this.#attempts) attempt.abort();
  }

  async #deliverHalves(batch: Batch): Promise<void> {
    this.#sizer.tooLarge(this.#encodedSize(batch));
    const halves = batch.halves(this.token);
    this.#inFlight.delete(batch);
    // The first half stays in front, so that a record lists them in order.
    for (const half of halves) this.#inFlight.add(half);
    const before = this.#ledger.replayed;
    for (const half of halves) await this.#deliver(half);
    this.#replays.settle(batch, this.#ledger.replayed - before);
  }

  #encodedSize(batch: Batch): number {
    return batch.frame?.body.length ?? 0;
  }

  async #pause(ms: number): Promise<void> {
    if (!this.#stop.signal.aborted) await this.#pauses.wait(ms);
  }

  async #settle(batch: Batch, outcome: SendOutcome): Promise<void> {
    this.#replays.settle(batch, outcome.kind === "delivered" ? batch.messages.length : 0);
    // Otherwise the next boundary carries this result along.
    if (this.#intake.unread === 0) await this.#journal.save();
  }

  /** What an heir of this process needs. */
  #record(): DrainRecord {
    return {
      version: 1,
      epoch: this.#dependencies.source.epoch,
      seenSeq: this.#intake.seenSeq,
      readSeq: this.#intake.readSeq,
      gaps: this.#intake.gaps,
      boundaries: [...this.#inFlight]
        .filter((batch) => batch.replay === undefined)
        .map((batch) => batch.boundary),
      ledger: this.#ledger.record(),
      goneSince: this.#condition.goneSince,
      disabled: this.#condition.disabled,
    };
  }
}
