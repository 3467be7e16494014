import { CHUNK_DATA, CHUNK_DONE, CHUNK_FAULT, ChunkDecoder } from "../codec/chunked.ts";
import { type Fault, RESPONSE_FAULTS } from "../codec/faults.ts";
import { F } from "../codec/field-names.ts";
import { type Head, NEED_MORE, REFUSED } from "../codec/head.ts";
import { CHUNKED, isFault, NO_BODY, type RequestMeaning } from "../codec/request.ts";
import { type ResponseMeaning, readResponse, UNTIL_CLOSE } from "../codec/response.ts";
import { FAILURES, type Failure, type HCode } from "../failures/codes.ts";
import type { AppRoute, Waiter } from "../table/app-route.ts";
import type { Backend } from "../table/backend.ts";
import { choose } from "../table/balance.ts";
import { admit } from "./admission.ts";
import type { ClientSide } from "./client-side.ts";
import type { Engine } from "./engine.ts";
import { NOT_PROCESSED } from "./http2-upstream.ts";
import { fieldIdentity, type Identity } from "./identity.ts";
import { buildRequestHead } from "./request-head.ts";
import type { ReadLease } from "./shared-read.ts";
import { startTunnelCheck } from "./upgrade.ts";
import type { ConnectFailure, UpstreamConnection, UpstreamUser } from "./upstream.ts";

/** Where an exchange is (spec/router.md §2). */
export type Phase = "head" | "policy" | "queue" | "connect" | "send" | "wait" | "relay" | "done";

/** One attempt, for the log and `/requests/<id>`. */
export interface AttemptRecord {
  readonly dyno: string;
  readonly id: string;
  readonly startedMs: number;
  readonly connectMs: number;
  readonly reused: boolean;
  outcome: string;
}

/** How long a hook may take to answer an ACME challenge. */
const CHALLENGE_MS = 5000;
/** How long the answer to a request that could not be written is waited for. */
const WRITE_ERROR_MS = 1000;
const MAX_RETAINED = 65_536;
const MAX_INTERIM = 16;
const MAX_INTERIM_BYTES = 65_536;
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);
const NO_TRIED: readonly Backend[] = [];
const NO_ATTEMPTS: readonly AttemptRecord[] = [];
const NO_PIECES: readonly Buffer[] = [];
const EMPTY = Buffer.alloc(0);

/**
 * One request and its answer: one owner of every step, one timer, one cleanup.
 */
export class Exchange implements Waiter, UpstreamUser {
  readonly engine: Engine;
  readonly client: ClientSide;
  /** Request head; null when none could be read. */
  readonly head: Head | null;
  readonly meaning: RequestMeaning | null;
  readonly identity: Identity;
  /** Monotonic ms of the first octet of the head. */
  readonly startedAt: number;
  /** Same, ms since the epoch. */
  readonly startedEpoch: number;
  /** {@link Observed} */
  memberIndex = -1;
  app: AppRoute | null = null;
  backend: Backend | null = null;
  upstream: UpstreamConnection | null = null;
  phase: Phase = "head";
  failure: Failure | null = null;
  cause: string | null = null;
  /** Answer of the router's own that is no H-code: 403, 404, 413, redirects. */
  ownStatus = 0;
  /** Status that the client saw; 0 = none. */
  sent = 0;
  /** Octets of the answer. */
  bytes = 0;
  /** Octets of the request's body. */
  received = 0;
  connectMs = -1;
  queueMs = 0;
  firstByteMs = -1;
  attempts: readonly AttemptRecord[] = NO_ATTEMPTS;
  reused = false;
  affinity: "hit" | "miss" | "new" | null = null;
  upgraded: string | null = null;
  closeCode = 0;
  /** Extra fields of the answer: affinity cookie. */
  answerFields = "";
  /** Monotonic ms at which the request head went to the dyno; 0 before. */
  sentHeadAt = 0;
  lastByteAt = 0;
  /** Monotonic ms of the last read from the backend. */
  readAt = 0;
  requestDone = false;
  /** Whether head and framing went out to the client. */
  answered = false;
  finished = false;
  lint: string | null = null;
  /** Digest of the access rule that refused the request. */
  rule: string | null = null;

  #tried: Backend[] | null = null;
  /** The answer to an ACME challenge is waited for. */
  #challenged = false;
  /** Monotonic ms at which the whole exchange is over, whatever it does. */
  #endsAt = Number.POSITIVE_INFINITY;
  /** Until when a full dyno of the session is waited for; -1 when that was given up. */
  #stickyUntil = 0;
  /** The body is read to its end, or to the limit, before a dyno is chosen. */
  #buffering = false;
  /** A write to the backend failed; what it said before may still come. */
  #writeFailed = false;
  #waitingSince = 0;
  #connectsUntil = 0;
  #checkedOut = false;
  #counted = false;
  /** Request body octets that may be sent (again). */
  #retained: readonly Buffer[] = NO_PIECES;
  #retainedBytes = 0;
  #retainable = true;
  #requestTrailers: string | null = null;
  #headSent = false;
  #responseHead: Head | null = null;
  #response: ResponseMeaning | null = null;
  #decoder: ChunkDecoder | null = null;
  #left = 0;
  #responseBytesSeen = false;
  /** What the octets of this read belong to. */
  #lease: ReadLease | null = null;
  #responseDone = false;
  #freshRetried = false;
  #interims = 0;
  #interimBytes = 0;
  #continued = false;
  #clientPaused = false;
  #upstreamPaused = false;
  #upstreamBroken = false;
  #clientLeft = false;
  #attempt: AttemptRecord | null = null;

  constructor(
    engine: Engine,
    client: ClientSide,
    head: Head | null,
    meaning: RequestMeaning | null,
    startedAt: number,
  ) {
    this.engine = engine;
    this.client = client;
    this.head = head;
    this.meaning = meaning;
    this.startedAt = startedAt;
    this.startedEpoch = engine.epochAt(startedAt);
    this.identity = fieldIdentity(engine, client, head);
    if (head !== null) this.lint = head.lint;
    engine.began(this);
  }

  /** The limits of the app. */
  get #timeouts() {
    return (this.app as AppRoute).settings.timeouts;
  }

  #now(): number {
    return this.engine.clock.monotonic();
  }

  #limit(ms: number, now = this.#now()): void {
    const at = now + ms;
    this.engine.wheel.setAt(this.client, at < this.#endsAt ? at : this.#endsAt);
  }

  /** First step after the head, at `now`: route, policy, choice. */
  start(now = this.#now(), challenged = false): void {
    try {
      this.phase = "policy";
      if (!admit(this, challenged)) return;
      const app = this.app as AppRoute;
      app.inFlight++;
      this.#counted = true;
      this.#connectsUntil = this.startedAt + this.#timeouts.connectTotalMs;
      if (this.#timeouts.maxDurationMs > 0)
        this.#endsAt = this.startedAt + this.#timeouts.maxDurationMs;
      if (this.meaning?.expectContinue === true && app.settings.continue === "auto")
        this.#sendContinue();
      if (this.#mustBuffer()) {
        this.#buffering = true;
        this.#limit(this.#timeouts.idleMs, now);
      } else this.#choose(false, now);
    } catch (error) {
      this.engine.crashed(error);
      this.fail("H99", "exception");
    }
  }

  /** Waits 5 s at most for the answer to an ACME challenge; without one the request goes on. */
  awaitChallenge(answer: Promise<string | undefined>): void {
    this.#challenged = true;
    this.#limit(CHALLENGE_MS);
    answer.then(
      (text) => {
        if (this.finished || !this.#challenged) return;
        if (text === undefined) this.#unchallenged();
        else this.answerChallenge(text);
      },
      (error) => {
        if (this.finished || !this.#challenged) return;
        this.engine.crashed(error);
        this.fail("H99", "exception");
      },
    );
  }

  /** Answers an ACME challenge (R8555 §8.3). */
  answerChallenge(text: string): void {
    this.respond(200, "Content-Type: text/plain\r\n", Buffer.from(text));
  }

  #unchallenged(): void {
    this.#challenged = false;
    this.engine.wheel.clear(this.client);
    this.start(this.#now(), true);
  }

  #mustBuffer(): boolean {
    const { bufferRequestBytes, continue: mode } = (this.app as AppRoute).settings;
    if (bufferRequestBytes === 0 || this.requestDone || this.#retainedBytes >= bufferRequestBytes)
      return false;
    // A client that waits for 100 sends nothing to read before a dyno was asked.
    return this.meaning?.expectContinue !== true || mode === "auto";
  }

  #bufferedEnough(): void {
    if (!this.#buffering || this.finished) return;
    this.#buffering = false;
    this.#choose(false);
  }

  #sendContinue(): void {
    if (this.#continued || this.requestDone) return;
    this.#continued = true;
    this.bytes += this.client.sendContinue();
  }

  /** Looks for a backend; waits when there may be one later. */
  #choose(again: boolean, now = this.#now()): void {
    const app = this.app as AppRoute;
    const { engine } = this;
    if (app.deleted) {
      this.fail("H14", "deleted");
      return;
    }
    const sticky = this.#session(app, now);
    if (sticky === "full") {
      this.#wait(this.#stickyUntil - now, true);
      return;
    }
    if (sticky !== null) {
      this.#startAttempt(sticky, now);
      return;
    }
    if (app.up.length === 0) {
      if (app.bootingCount > 0) {
        this.#wait(this.#timeouts.bootMs, !again);
        return;
      }
      if (app.sleepingCount > 0 || (app.settings.wake && app.crashedCount === 0)) {
        if (app.settings.wake || app.sleepingCount > 0) engine.routes.demand(app);
        this.#wait(this.#timeouts.bootMs, !again);
        return;
      }
      this.fail(app.crashedCount > 0 ? "H10" : "H14", null);
      return;
    }
    const chosen = choose(app, {
      now,
      random: engine.random,
      tried: this.#tried ?? NO_TRIED,
      hashKey: app.settings.balance === "hash" ? engine.hashKey(this) : null,
    });
    if (typeof chosen !== "string") {
      this.#startAttempt(chosen, now);
      return;
    }
    if (chosen === "full") {
      this.#wait(this.#timeouts.queueMs, !again);
      return;
    }
    if (chosen === "wait") {
      let until = this.#connectsUntil;
      for (const backend of app.up)
        if (!backend.trial) until = Math.min(until, backend.quarantinedUntil);
      this.#wait(Math.max(1, until - now), true);
      return;
    }
    this.fail(now >= this.#connectsUntil ? "H34" : "H21", null);
    return;
  }

  /** The dyno of the client's session, while that may be had. */
  #session(app: AppRoute, now: number): Backend | "full" | null {
    const { affinity } = app.settings;
    if (affinity === null) return null;
    if (this.#tried !== null || this.#freshRetried) {
      if (this.affinity === "hit") this.affinity = "miss";
      return null;
    }
    const found = this.engine.affinity.find(this);
    if (found !== "full") return found;
    if (this.#stickyUntil === 0) this.#stickyUntil = now + affinity.waitMs;
    if (now < this.#stickyUntil) return "full";
    this.#stickyUntil = -1;
    return null;
  }

  /** Waits for a change, `ms` at most; `restart` begins that time anew when already waiting. */
  #wait(ms: number, restart: boolean): void {
    const app = this.app as AppRoute;
    this.phase = "queue";
    if (!app.waiters.has(this)) {
      if (app.waiters.size >= app.queueMax && app.up.length > 0) {
        this.fail("H11", "queue-full");
        return;
      }
      app.waiters.add(this);
      if (this.#waitingSince === 0) this.#waitingSince = this.#now();
      this.#limit(ms);
      this.engine.queued(app, 1);
    } else if (restart) this.#limit(ms);
  }

  #leaveQueue(): void {
    const app = this.app as AppRoute;
    if (!app.waiters.delete(this)) return;
    this.engine.queued(app, -1);
    this.queueMs = Math.round(this.#now() - this.#waitingSince);
  }

  /** {@link Waiter} */
  onChange(): void {
    if (this.phase !== "queue" || this.finished) return;
    this.#choose(true);
  }

  #startAttempt(backend: Backend, now: number): void {
    const { engine } = this;
    const app = this.app as AppRoute;
    if (app.waiters.size > 0) this.#leaveQueue();
    this.phase = "connect";
    this.backend = backend;
    backend.checkout();
    this.#checkedOut = true;
    const pool = engine.pool(app, backend);
    const { settings } = app;
    const safe = IDEMPOTENT.has((this.meaning as RequestMeaning).method);
    const maxAge =
      this.#freshRetried || !settings.keepAlive || (!safe && settings.unsafeReuse === "fresh")
        ? -1
        : safe || settings.unsafeReuse === "any"
          ? Number.POSITIVE_INFINITY
          : 1000;
    const pooled = maxAge < 0 ? null : pool.take(now, maxAge, settings.dial);
    this.reused = pooled !== null;
    this.#attempt = {
      dyno: backend.dyno,
      id: backend.id,
      startedMs: Math.round(now - this.startedAt),
      connectMs: 0,
      reused: this.reused,
      outcome: "open",
    };
    this.attempts =
      this.attempts.length === 0 ? [this.#attempt] : [...this.attempts, this.#attempt];
    engine.attempted(app, this.reused);
    if (pooled !== null) {
      pooled.user = this;
      this.upstream = pooled;
      this.connectMs = 0;
      this.#send(pooled, now);
      return;
    }
    const left = Math.max(1, this.#connectsUntil - now);
    this.engine.wheel.clear(this.client);
    this.upstream = pool.open(this, Math.min(this.#timeouts.connectMs, left), settings.dial);
  }

  /** {@link UpstreamUser} */
  onConnected(connection: UpstreamConnection): void {
    const now = this.#now();
    this.backend?.connected();
    this.connectMs = Math.round(now - connection.connectStart);
    this.engine.connected(this.app as AppRoute, "ok");
    this.#send(connection, now);
  }

  /** {@link UpstreamUser} */
  onConnectFailed(_connection: UpstreamConnection, reason: ConnectFailure): void {
    const now = this.#now();
    const app = this.app as AppRoute;
    this.upstream = null;
    this.engine.connected(app, reason);
    this.#endAttempt(reason);
    const backend = this.backend as Backend;
    if (reason !== "local") {
      backend.connectFailed(now, reason === "timeout" ? "timeout" : "refused");
      this.engine.quarantined(app, backend);
    }
    this.#checkin();
    this.#tried ??= [];
    this.#tried.push(backend);
    if (this.#clientLeft) {
      this.fail("H27", null);
      return;
    }
    if (reason === "local") {
      this.fail("H99", "no-sockets");
      return;
    }
    const most = Math.min(10, Math.max(app.up.length, this.#tried.length));
    const untried = app.up.some((other) => !(this.#tried as Backend[]).includes(other));
    if (
      untried &&
      this.attempts.length < most &&
      now < this.#connectsUntil &&
      this.engine.mayRetry(app, "connect")
    ) {
      this.phase = "policy";
      this.#choose(true);
      return;
    }
    if (now >= this.#connectsUntil && this.attempts.length > 1) {
      this.fail("H34", null);
      return;
    }
    this.fail(reason === "timeout" ? "H19" : "H21", reason === "tls" ? "backend-tls" : null);
    return;
  }

  #checkin(): void {
    if (!this.#checkedOut) return;
    this.#checkedOut = false;
    this.backend?.checkin();
    const app = this.app as AppRoute;
    if (app.waiters.size > 0) app.wakeWaiters(1);
  }

  #endAttempt(outcome: string): void {
    if (this.#attempt !== null) this.#attempt.outcome = outcome;
    this.#attempt = null;
  }

  /** Writes the head and the body that has come so far, in one write. */
  #send(connection: UpstreamConnection, now: number): void {
    const meaning = this.meaning as RequestMeaning;
    this.phase = "send";
    connection.uses++;
    this.sentHeadAt = now;
    this.#headSent = true;
    if (meaning.expectContinue && this.app?.settings.continue === "lazy") this.#sendContinue();
    const text = buildRequestHead(this, now);
    const { socket } = connection;
    if (this.#retained.length === 0 && !(this.requestDone && meaning.length === CHUNKED))
      socket.write(text, "latin1");
    else {
      socket.cork();
      socket.write(text, "latin1");
      for (const piece of this.#retained) this.#writeBody(piece, null);
      if (this.requestDone) this.#writeEnd();
      socket.uncork();
    }
    if (!this.#mayRetain()) this.#forgetBody();
    if (this.#clientPaused && socket.writableLength < MAX_RETAINED) {
      this.#clientPaused = false;
      this.client.resumeRequest();
    }
    if (this.requestDone) this.#awaitAnswer(now);
    else this.#limit(this.#timeouts.idleMs, now);
  }

  #mayRetain(): boolean {
    const mayComeBack = this.reused || this.app?.settings.dial?.http2 === true;
    return this.#retainable && mayComeBack && !this.#freshRetried;
  }

  #forgetBody(): void {
    this.#retainable = false;
    this.#retained = NO_PIECES;
    this.#retainedBytes = 0;
  }

  #writeBody(piece: Buffer, lease: ReadLease | null): void {
    const socket = (this.upstream as UpstreamConnection).socket;
    lease?.hold();
    if ((this.meaning as RequestMeaning).length !== CHUNKED) {
      socket.write(piece, lease?.release);
      return;
    }
    socket.cork();
    socket.write(`${piece.length.toString(16)}\r\n`, "latin1");
    socket.write(piece, lease?.release);
    socket.write("\r\n", "latin1");
    socket.uncork();
  }

  #writeEnd(): void {
    if ((this.meaning as RequestMeaning).length === CHUNKED)
      (this.upstream as UpstreamConnection).socket.write(
        `0\r\n${this.#requestTrailers ?? ""}\r\n`,
        "latin1",
      );
  }

  #awaitAnswer(now = this.#now()): void {
    if (this.phase === "send") {
      this.phase = "wait";
      this.#limit(this.engine.firstByteLimit(this), now);
    }
  }

  /**
   * Octets of the request body, in order. The buffer stays untouched after the call, or, when it
   * is lent, as long as the lease is held.
   */
  requestData(data: Buffer, lease: ReadLease | null): void {
    this.received += data.length;
    if (this.finished || this.#responseDone) return;
    const app = this.app;
    if (app !== null && this.received > app.settings.maxBodyBytes) {
      this.refuse(413, "body-too-large", "The request body is larger than this app accepts.");
      return;
    }
    const { upstream } = this;
    if (this.#headSent && upstream !== null) {
      if (this.#upstreamBroken) return;
      if (this.#retainable && this.#retain(data)) lease?.hold();
      this.#writeBody(data, lease);
      if (upstream.socket.writableLength > MAX_RETAINED) this.#pauseClient();
      if (this.phase === "send") this.#limit(this.#timeouts.idleMs);
      else if (this.phase === "relay") this.#touch();
      return;
    }
    lease?.hold();
    this.#keep(data);
    if (this.#buffering) {
      if (this.#mustBuffer()) this.#limit(this.#timeouts.idleMs);
      else this.#bufferedEnough();
    } else if (this.#retainedBytes >= MAX_RETAINED) this.#pauseClient();
  }

  #retain(data: Buffer): boolean {
    if (!this.#mayRetain() || this.#retainedBytes + data.length > MAX_RETAINED) {
      this.#forgetBody();
      return false;
    }
    this.#keep(data);
    return true;
  }

  #keep(data: Buffer): void {
    if (this.#retained.length === 0) this.#retained = [data];
    else (this.#retained as Buffer[]).push(data);
    this.#retainedBytes += data.length;
  }

  #pauseClient(): void {
    if (this.#clientPaused) return;
    this.#clientPaused = true;
    this.client.pauseRequest();
  }

  /** The request is complete; trailers are complete lines, without forbidden names. */
  requestEnded(trailers: string | null): void {
    if (this.requestDone) return;
    this.requestDone = true;
    this.#requestTrailers = trailers;
    if (this.finished || this.#responseDone || this.#upstreamBroken) return;
    if (this.#buffering) {
      this.#bufferedEnough();
      return;
    }
    if (!this.#headSent || this.upstream === null) return;
    this.#writeEnd();
    this.#awaitAnswer();
  }

  /** The request's body broke a rule: the backend must not take it for complete. */
  requestFault(fault: Fault): void {
    if (this.finished) return;
    this.failFault(fault);
  }

  /** {@link UpstreamUser} */
  onUpstreamDrain(): void {
    if (!this.#clientPaused) return;
    this.#clientPaused = false;
    this.client.resumeRequest();
    if (this.phase === "send") this.#limit(this.#timeouts.idleMs);
  }

  /** {@link UpstreamUser} */
  get expectsBody(): boolean {
    return this.#response !== null && !this.#responseDone;
  }

  /** {@link UpstreamUser} */
  onUpstreamData(chunk: Buffer, lease: ReadLease | null): boolean {
    this.#lease = lease;
    this.readAt = this.#now();
    try {
      let position = 0;
      while (position < chunk.length && !this.finished) {
        if (this.#responseDone) {
          this.#stray();
          break;
        }
        position =
          this.#response === null
            ? this.#readHead(chunk, position)
            : this.#readBody(chunk, position, null);
      }
    } catch (error) {
      this.engine.crashed(error);
      this.fail("H99", "exception");
    }
    if (this.finished) return true;
    if (
      this.client.backlog > (this.app as AppRoute).settings.responseBufferBytes &&
      !this.#responseDone
    ) {
      this.#upstreamPaused = true;
      return false;
    }
    return true;
  }

  /** Octets behind a complete answer: the connection is not used again. */
  #stray(): void {
    if (this.#upstreamBroken) return;
    this.#upstreamBroken = true;
    this.engine.strayOctets(this);
  }

  /** The client took what waited for it. */
  clientDrained(): void {
    if (this.finished) return;
    this.#touch();
    if (!this.#upstreamPaused) return;
    this.#upstreamPaused = false;
    this.upstream?.socket.resume();
  }

  /** Restarts the idle window: some octet moved. */
  #touch(): void {
    this.#limit(this.#timeouts.idleMs);
  }

  #readHead(chunk: Buffer, position: number): number {
    const { engine } = this;
    if (!this.#responseBytesSeen) {
      this.#responseBytesSeen = true;
      this.#forgetBody();
      this.firstByteMs = this.readAt - this.sentHeadAt;
    }
    let head = this.#responseHead;
    if (head === null) {
      head = engine.acquireHead("response");
      this.#responseHead = head;
    }
    const next = head.execute(chunk, position);
    if (next === NEED_MORE) {
      this.#touch();
      return chunk.length;
    }
    if (next === REFUSED) {
      this.#responseFault(head.fault as Fault);
      return chunk.length;
    }
    const meaning = readResponse(head, (this.meaning as RequestMeaning).method);
    if (isFault(meaning)) {
      this.#responseFault(meaning);
      return chunk.length;
    }
    if (head.status < 200 && head.status !== 101) {
      this.#interim(head, meaning);
      return next;
    }
    if (head.status === 101) return this.#switch(chunk, next, head, meaning);
    this.#answer(chunk, next, head, meaning);
    return this.#consumed;
  }

  #consumed = 0;

  #interim(head: Head, meaning: ResponseMeaning): void {
    this.#interimBytes += head.text.length;
    if (++this.#interims > MAX_INTERIM || this.#interimBytes > MAX_INTERIM_BYTES) {
      this.ownStatus = RESPONSE_FAULTS.interimFlood.status;
      this.fail("H17", RESPONSE_FAULTS.interimFlood.cause);
      return;
    }
    const request = this.meaning as RequestMeaning;
    this.#touch();
    if (head.status === 100) {
      const asked = request.expectContinue && this.app?.settings.continue === "end-to-end";
      if (asked && this.#continued && this.engine.options.rules.compat === "heroku") {
        this.#responseFault(RESPONSE_FAULTS.secondContinue);
        return;
      }
      if (asked && !this.#continued) this.#sendContinue();
      else if (!request.expectContinue && !this.#continued) {
        this.#continued = true;
        this.bytes += this.client.sendInterim(this, head, meaning);
      }
    } else this.bytes += this.client.sendInterim(this, head, meaning);
    head.reset("response", this.engine.options.responseLimits, this.engine.responseLeniency);
  }

  #switch(chunk: Buffer, next: number, head: Head, meaning: ResponseMeaning): number {
    const protocol = startTunnelCheck(this.meaning as RequestMeaning, head);
    // A body of known length that is still on its way looks the same inside the tunnel.
    const bodyFits = this.requestDone || (this.meaning as RequestMeaning).length >= 0;
    if (protocol === null || !bodyFits) {
      this.#responseFault(RESPONSE_FAULTS.unaskedUpgrade);
      return chunk.length;
    }
    const upstream = this.upstream as UpstreamConnection;
    this.answered = true;
    this.sent = 101;
    this.upgraded = protocol;
    this.phase = "relay";
    this.#endAttempt("101");
    this.engine.answered(this);
    this.client.startTunnel(this, head, meaning, upstream, chunk.subarray(next));
    this.engine.releaseHead(head);
    this.#responseHead = null;
    return chunk.length;
  }

  #answer(chunk: Buffer, next: number, head: Head, meaning: ResponseMeaning): void {
    const { engine } = this;
    this.phase = "relay";
    this.#response = meaning;
    this.#left = meaning.length;
    if (meaning.length === CHUNKED) this.#decoder = new ChunkDecoder();
    if (head.lint !== null) this.lint = head.lint;
    this.answered = true;
    this.sent = head.status;
    engine.answered(this);
    this.#consumed = next;
    if (meaning.length === NO_BODY || meaning.length === 0) {
      this.bytes += this.client.sendHead(this, head, meaning, NO_PARTS, true, null);
      if (next < chunk.length) this.#stray();
      this.#responseComplete(this.readAt);
    } else {
      this.#consumed = this.#readBody(chunk, next, head);
    }
    if (!this.finished) {
      engine.releaseHead(head);
      this.#responseHead = null;
    }
  }

  /** Relays what the chunk holds of the body; with `head` the first write carries the head too. */
  #readBody(chunk: Buffer, position: number, head: Head | null): number {
    const meaning = this.#response as ResponseMeaning;
    const list: Buffer[] = [];
    let bytes = 0;
    let at = position;
    let ended = false;
    let trailers: Head | null = null;
    let fault: Fault | null = null;
    if (this.#decoder !== null) {
      const decoder = this.#decoder;
      for (;;) {
        const event = decoder.next(chunk, at);
        at = decoder.position;
        if (event === CHUNK_DATA) {
          list.push(chunk.subarray(decoder.start, decoder.end));
          bytes += decoder.end - decoder.start;
          continue;
        }
        if (event === CHUNK_DONE) {
          ended = true;
          trailers = decoder.trailers;
        } else if (event === CHUNK_FAULT) fault = decoder.fault;
        else at = chunk.length;
        break;
      }
    } else {
      let length = chunk.length - at;
      if (meaning.length !== UNTIL_CLOSE) {
        length = Math.min(length, this.#left);
        this.#left -= length;
        ended = this.#left === 0;
      }
      if (length > 0) {
        list.push(at === 0 && length === chunk.length ? chunk : chunk.subarray(at, at + length));
        bytes = length;
      }
      at += length;
    }
    const parts = { list, bytes, lease: this.#lease };
    if (head !== null)
      this.bytes += this.client.sendHead(this, head, meaning, parts, ended, trailers);
    else if (bytes > 0 || ended) this.bytes += this.client.sendBody(parts, ended, trailers);
    if (fault !== null) {
      this.cause = "bad chunk";
      this.fail("H18", "bad chunk");
      return chunk.length;
    }
    if (ended) {
      if (at < chunk.length) this.#stray();
      this.#responseComplete(this.readAt);
    } else this.#limit(this.#timeouts.idleMs, this.readAt);
    return at;
  }

  #responseComplete(now: number): void {
    this.#responseDone = true;
    this.lastByteAt = now;
    this.#endAttempt(String(this.sent));
    if (this.client.backlog === 0) this.#complete();
    else {
      this.#touch();
      this.client.whenFlushed(() => this.#complete());
    }
  }

  /** Everything was written: the connection goes back to the pool, the line to the log. */
  #complete(): void {
    if (this.finished) return;
    const { upstream } = this;
    const meaning = this.#response as ResponseMeaning;
    const app = this.app as AppRoute;
    const now = this.lastByteAt;
    this.upstream = null;
    if (upstream !== null) {
      if (
        meaning.keepAlive &&
        this.requestDone &&
        !this.#upstreamBroken &&
        app.settings.keepAlive
      ) {
        upstream.announcedIdleMs = meaning.keepAliveMs;
        if (this.#upstreamPaused) upstream.socket.resume();
        upstream.pool.release(upstream, now, app.settings.timeouts.backendIdleMs);
      } else upstream.destroy();
    }
    const { backend } = this;
    if (backend !== null) {
      backend.firstByteMs =
        backend.firstByteMs === 0
          ? this.firstByteMs
          : backend.firstByteMs * 0.8 + this.firstByteMs * 0.2;
      if (this.sent >= 500 && app.settings.ejectOn5xx) this.engine.blame(app, backend);
      else backend.succeeded(now);
    }
    this.#finish(true);
  }

  #responseFault(fault: Fault): void {
    this.cause = fault.cause;
    this.fail(fault.status === 502 ? "H25" : "H17", fault.cause);
  }

  /** {@link UpstreamUser} */
  onUpstreamEnd(): void {
    if (this.finished) return;
    if (this.#response !== null) {
      if (this.#responseDone) return;
      if (this.#response.length === UNTIL_CLOSE) {
        this.bytes += this.client.sendBody(NO_PARTS, true, null);
        this.#responseComplete(this.#now());
        return;
      }
    }
    this.#upstreamLost("closed");
  }

  /** {@link UpstreamUser} An app may answer early and close while the request is still on its way. */
  onUpstreamWriteError(): boolean {
    if (this.finished || this.#responseDone) return false;
    this.#upstreamBroken = true;
    this.#writeFailed = true;
    this.#forgetBody();
    if (this.#response === null) this.#limit(WRITE_ERROR_MS);
    return true;
  }

  /** {@link UpstreamUser} */
  onUpstreamClose(error: Error | null): void {
    if (this.finished) return;
    if (this.#responseDone) {
      this.#upstreamBroken = true;
      this.upstream = null;
      return;
    }
    const refused = (error as NodeJS.ErrnoException | null)?.code === NOT_PROCESSED;
    this.#upstreamLost(refused ? "refused-stream" : error === null ? "closed" : "reset", refused);
  }

  /** The backend went away before its answer was complete. */
  #upstreamLost(how: string, unprocessed = false): void {
    const { upstream } = this;
    this.upstream = null;
    upstream?.destroy();
    if (this.#responseBytesSeen) {
      if (this.#response === null) {
        this.fail("H17", "truncated head");
        return;
      }
      this.fail("H18", how);
      return;
    }
    this.#endAttempt(how);
    if (this.#canRetry(unprocessed)) {
      const backend = this.backend as Backend;
      this.#freshRetried = true;
      this.#checkin();
      this.#headSent = false;
      this.phase = "policy";
      this.engine.retried(this.app as AppRoute, unprocessed ? "refused-stream" : "reused-socket");
      const now = this.#now();
      if (backend.isGood(now)) {
        this.#startAttempt(backend, now);
        return;
      }
      this.#choose(true);
      return;
    }
    this.fail("H13", how);
  }

  #canRetry(unprocessed: boolean): boolean {
    if (this.#freshRetried || this.#clientLeft) return false;
    if (unprocessed)
      return (
        (this.#retainable || this.received === 0) &&
        this.engine.mayRetry(this.app as AppRoute, "reset")
      );
    const { method } = this.meaning as RequestMeaning;
    const { settings } = this.app as AppRoute;
    if (this.reused) {
      const keyed =
        settings.retryIdempotencyKey && ((this.head as Head).times[F.idempotencyKey] as number) > 0;
      return (
        (IDEMPOTENT.has(method) || keyed) &&
        (this.#retainable || this.received === 0) &&
        this.engine.mayRetry(this.app as AppRoute, "reset")
      );
    }
    return (
      settings.retryFreshReset &&
      (method === "GET" || method === "HEAD") &&
      this.received === 0 &&
      this.engine.mayRetry(this.app as AppRoute, "reset")
    );
  }

  /** The router ended the client's HTTP/2 connection for what happened on it. */
  streamBroken(): void {
    this.#clientLeft = true;
    this.fail("H33", "resets");
  }

  /** The client closed or reset its connection. */
  clientGone(): void {
    if (this.finished) return;
    this.#clientLeft = true;
    if (this.app?.settings.finishOnAbort === true && this.#headSent && this.requestDone) return;
    this.fail("H27", null);
  }

  /** The limit of the phase passed. */
  onLimit(now: number): void {
    if (this.finished) return;
    if (now >= this.#endsAt) {
      this.fail(this.answered ? "H15" : "H12", "max-duration");
      return;
    }
    if (this.#challenged) {
      this.#unchallenged();
      return;
    }
    if (this.#writeFailed && !this.#responseDone) {
      this.#upstreamLost("reset");
      return;
    }
    if (this.#buffering) {
      this.fail("H28", null);
      return;
    }
    switch (this.phase) {
      case "queue": {
        const app = this.app as AppRoute;
        if (this.#stickyUntil > 0 && now >= this.#stickyUntil) {
          this.#stickyUntil = -1;
          this.#choose(false);
          return;
        }
        if (app.up.length === 0) {
          this.fail("H20", null);
          return;
        }
        if (app.up.every((backend) => !backend.isGood(now))) {
          if (now >= this.#connectsUntil) {
            this.fail("H34", null);
            return;
          }
          this.#choose(true);
          return;
        }
        this.fail("H11", "queue-timeout");
        return;
      }
      case "send":
        this.fail(this.#clientPaused ? "H15" : "H28", null);
        return;
      case "wait":
        this.fail("H12", null);
        return;
      case "relay":
        if (this.client.backlog > 0) {
          this.fail("H28", "client does not read");
          return;
        }
        this.fail(this.requestDone ? "H15" : "H28", null);
        return;
      default:
        this.fail("H99", "limit");
        return;
    }
  }

  /** Ends the exchange with an H-code: an answer when none has begun, else a cut. */
  fail(code: HCode, cause: string | null): void {
    if (this.finished) return;
    this.failure = FAILURES[code];
    this.cause = cause ?? this.cause;
    this.#endAttempt(code);
    this.lastByteAt = this.#now();
    this.#abandonUpstream();
    if (this.failure.blame && this.backend !== null)
      this.engine.blame(this.app as AppRoute, this.backend);
    if (code === "H27" || code === "H24" || code === "H33") this.client.kill();
    else if (this.answered) this.client.kill();
    else {
      if (this.ownStatus === 0) this.ownStatus = this.engine.ownStatus(code);
      const own = this.ownStatus === 0 ? this.failure.status : this.ownStatus;
      const status = code === "H28" ? 408 : own;
      this.sent = status;
      this.bytes += this.engine.sendFailure(this, status);
    }
    this.#finish(false);
  }

  /** Ends the exchange because the request broke a rule (H26). */
  failFault(fault: Fault): void {
    if (this.finished) return;
    this.failure = FAILURES.H26;
    this.cause = fault.cause;
    this.ownStatus = this.engine.faultStatus(fault);
    this.engine.malformed(fault, this);
    this.lastByteAt = this.#now();
    this.#endAttempt("H26");
    this.#abandonUpstream();
    if (this.answered) this.client.kill();
    else {
      this.sent = this.ownStatus;
      this.bytes += this.engine.sendFault(this, fault, this.ownStatus);
    }
    this.#finish(false);
  }

  /** Ends the exchange with an answer that is no H-code. `fields` are complete lines. */
  refuse(status: number, cause: string, message: string, fields = ""): void {
    if (this.finished) return;
    this.ownStatus = status;
    this.cause = cause;
    this.lastByteAt = this.#now();
    this.#abandonUpstream();
    if (this.answered) this.client.kill();
    else {
      this.sent = status;
      this.bytes += this.engine.sendRefusal(this, status, message, fields);
    }
    this.#finish(this.requestDone);
  }

  /** Ends the exchange with a body of the router's own, such as a challenge answer or a redirect. */
  respond(status: number, fields: string, body: Buffer = EMPTY): void {
    this.ownStatus = status;
    this.sent = status;
    this.lastByteAt = this.#now();
    this.bytes += this.client.sendOwn(this, status, fields, body);
    this.#finish(this.requestDone);
  }

  /** A tunnel came to its end. */
  tunnelEnded(code: HCode | null, cause: string | null, closeCode: number): void {
    if (this.finished) return;
    this.lastByteAt = this.#now();
    this.closeCode = closeCode;
    if (code !== null) {
      this.failure = FAILURES[code];
      this.cause = cause;
    }
    this.upstream = null;
    this.#finish(false);
  }

  #abandonUpstream(): void {
    const { upstream } = this;
    this.upstream = null;
    upstream?.destroy();
  }

  #finish(clean: boolean): void {
    if (this.finished) return;
    this.finished = true;
    const app = this.app;
    if (app !== null) {
      this.#leaveQueue();
      if (this.#counted) app.inFlight--;
    }
    const failedIn = this.phase;
    this.phase = "done";
    this.engine.wheel.clear(this.client);
    this.engine.ended(this, failedIn);
    this.#checkin();
    if (this.#responseHead !== null) this.engine.releaseHead(this.#responseHead);
    this.#responseHead = null;
    this.#retained = NO_PIECES;
    this.client.done(clean && this.requestDone);
    if (this.head !== null) this.engine.releaseHead(this.head);
  }
}

const NO_PARTS = Object.freeze({ list: [] as Buffer[], bytes: 0, lease: null });
