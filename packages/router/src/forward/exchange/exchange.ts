import type { ChunkDecoder } from "../../codec/chunked.ts";
import type { Fault } from "../../codec/faults.ts";
import type { Head } from "../../codec/head.ts";
import type { RequestMeaning } from "../../codec/request.ts";
import type { ResponseMeaning } from "../../codec/response.ts";
import type { Failure, HCode } from "../../failures/codes.ts";
import type { AppRoute, Waiter } from "../../table/app-route.ts";
import type { Backend } from "../../table/backend.ts";
import type { AppTimeouts } from "../../table/settings.ts";
import type { ClientSide } from "../client-side.ts";
import type { Engine } from "../engine.ts";
import { fieldIdentity, type Identity } from "../identity.ts";
import type { ReadLease } from "../shared-read.ts";
import type { ConnectFailure, UpstreamConnection, UpstreamUser } from "../upstream.ts";
import { backendEnded, clientDrained, readAnswer } from "./answer.ts";
import { backendClosed, connected, connectFailed, startAttempt, writeFailed } from "./attempt.ts";
import type { AttemptRecord, Phase } from "./attempt-record.ts";
import { choose } from "./choice.ts";
import { end, endWithFault, refuse, respond, tunnelEnded } from "./ending.ts";
import { limitPassed } from "./limit.ts";
import { backendDrained, NO_PIECES, requestData, requestEnded } from "./request-body.ts";
import { answerChallenge, awaitChallenge, start } from "./start.ts";

const NO_ATTEMPTS: readonly AttemptRecord[] = [];

/**
 * One request and its answer: one owner of every step, one timer, one cleanup.
 *
 * This class is the state and the doors to it; what is done with it stands in the file of the
 * phase: `start` (policy) → `choice` (which dyno) → `attempt` (connect, retry) → `request-body`
 * (head and body to the dyno) → `answer` → `answer-body` → `ending`. `limit` is what an expired
 * timer means in each phase. A phase comes back to an earlier one through a method here alone.
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

  // From here on: of the phases alone.

  /** Monotonic ms at which the whole exchange is over, whatever it does. */
  endsAt = Number.POSITIVE_INFINITY;
  clientLeft = false;

  // Policy.
  /** The answer to an ACME challenge is waited for. */
  challenged = false;
  /** The body is read to its end, or to the limit, before a dyno is chosen. */
  buffering = false;
  /** Stands among the requests in flight of its app. */
  counted = false;
  /** The client was told to go on with its body. */
  continued = false;

  // Choice and attempts.
  tried: Backend[] | null = null;
  /** Until when a full dyno of the session is waited for; -1 when that was given up. */
  stickyUntil = 0;
  waitingSince = 0;
  connectsUntil = 0;
  checkedOut = false;
  attempt: AttemptRecord | null = null;
  /** The one retry after a connection that broke was used. */
  freshRetried = false;
  /** A write to the backend failed; what it said before may still come. */
  writeFailed = false;
  /** The connection to the backend is not used again. */
  upstreamBroken = false;

  // The request's way to the backend.
  headSent = false;
  /** Request body octets that may be sent (again). */
  retained: readonly Buffer[] = NO_PIECES;
  retainedBytes = 0;
  retainable = true;
  requestTrailers: string | null = null;
  clientPaused = false;

  // The answer's way to the client.
  responseHead: Head | null = null;
  response: ResponseMeaning | null = null;
  decoder: ChunkDecoder | null = null;
  /** Octets of the answer's body that are still due. */
  left = 0;
  /** The backend said something in this attempt. */
  responseBytesSeen = false;
  /** What the octets of this read belong to. */
  lease: ReadLease | null = null;
  responseDone = false;
  interims = 0;
  interimBytes = 0;
  upstreamPaused = false;

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
  get timeouts(): AppTimeouts {
    return (this.app as AppRoute).settings.timeouts;
  }

  /** Monotonic ms. */
  now(): number {
    return this.engine.clock.monotonic();
  }

  /** Sets the limit of the phase, `ms` from `now`. */
  limit(ms: number, now = this.now()): void {
    const at = now + ms;
    this.engine.wheel.setAt(this.client, at < this.endsAt ? at : this.endsAt);
  }

  /** Restarts the idle window: some octet moved. */
  touch(): void {
    this.limit(this.timeouts.idleMs);
  }

  /** First step after the head, at `now`: route, policy, choice. */
  start(now = this.now(), challenged = false): void {
    start(this, now, challenged);
  }

  /** Waits 5 s at most for the answer to an ACME challenge; without one the request goes on. */
  awaitChallenge(answer: Promise<string | undefined>): void {
    awaitChallenge(this, answer);
  }

  /** Answers an ACME challenge (R8555 §8.3). */
  answerChallenge(text: string): void {
    answerChallenge(this, text);
  }

  /** Begins an attempt with a backend, at `now`. */
  tryBackend(backend: Backend, now: number): void {
    startAttempt(this, backend, now);
  }

  /** {@link Waiter} */
  onChange(): void {
    if (this.phase === "queue" && !this.finished) choose(this, true, this.now());
  }

  /** {@link UpstreamUser} */
  onConnected(connection: UpstreamConnection): void {
    connected(this, connection);
  }

  /** {@link UpstreamUser} */
  onConnectFailed(_connection: UpstreamConnection, reason: ConnectFailure): void {
    connectFailed(this, reason);
  }

  /**
   * Octets of the request body, in order. The buffer stays untouched after the call, or, when it
   * is lent, as long as the lease is held.
   */
  requestData(data: Buffer, lease: ReadLease | null): void {
    requestData(this, data, lease);
  }

  /** The request is complete; trailers are complete lines, without forbidden names. */
  requestEnded(trailers: string | null): void {
    requestEnded(this, trailers);
  }

  /** The request's body broke a rule: the backend must not take it for complete. */
  requestFault(fault: Fault): void {
    endWithFault(this, fault);
  }

  /** {@link UpstreamUser} */
  onUpstreamDrain(): void {
    backendDrained(this);
  }

  /** {@link UpstreamUser} */
  get expectsBody(): boolean {
    return this.response !== null && !this.responseDone;
  }

  /** {@link UpstreamUser} */
  onUpstreamData(chunk: Buffer, lease: ReadLease | null): boolean {
    return readAnswer(this, chunk, lease);
  }

  /** {@link UpstreamUser} */
  onUpstreamEnd(): void {
    backendEnded(this);
  }

  /** {@link UpstreamUser} An app may answer early and close while the request is still on its way. */
  onUpstreamWriteError(): boolean {
    return writeFailed(this);
  }

  /** {@link UpstreamUser} */
  onUpstreamClose(error: Error | null): void {
    backendClosed(this, error);
  }

  /** The client took what waited for it. */
  clientDrained(): void {
    clientDrained(this);
  }

  /** The router ended the client's HTTP/2 connection for what happened on it. */
  streamBroken(): void {
    this.clientLeft = true;
    this.fail("H33", "resets");
  }

  /** The client closed or reset its connection. */
  clientGone(): void {
    if (this.finished) return;
    this.clientLeft = true;
    if (this.app?.settings.finishOnAbort === true && this.headSent && this.requestDone) return;
    this.fail("H27", null);
  }

  /** The limit of the phase passed. */
  onLimit(now: number): void {
    limitPassed(this, now);
  }

  /** Ends the exchange with an H-code: an answer when none has begun, else a cut. */
  fail(code: HCode, cause: string | null): void {
    end(this, code, cause);
  }

  /** Ends the exchange because the request broke a rule (H26). */
  failFault(fault: Fault): void {
    endWithFault(this, fault);
  }

  /** Ends the exchange with an answer that is no H-code. `fields` are complete lines. */
  refuse(status: number, cause: string, message: string, fields = ""): void {
    refuse(this, status, cause, message, fields);
  }

  /** Ends the exchange with a body of the router's own, such as a challenge answer or a redirect. */
  respond(status: number, fields: string, body?: Buffer): void {
    respond(this, status, fields, body);
  }

  /** A tunnel came to its end. */
  tunnelEnded(code: HCode | null, cause: string | null, closeCode: number): void {
    tunnelEnded(this, code, cause, closeCode);
  }
}
