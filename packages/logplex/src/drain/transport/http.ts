import { createHash } from "node:crypto";
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { isIP, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Clock } from "../../clock.ts";
import { pinnedLookup, type Resolve, type ResolvedAddress, resolveChecked } from "../net/lookup.ts";
import type { DrainPolicy } from "../net/policy.ts";
import type { DrainTarget } from "../url.ts";
import { outcomeOfError, SendTimeout } from "./errors.ts";
import { outcomeOfResponse } from "./http-response.ts";
import { certificatesOf, type DrainTls, tlsOptions, watchPeer } from "./tls.ts";
import type {
  CertificateFacts,
  DrainTransport,
  OutgoingFrame,
  ProbeReport,
  SendOutcome,
} from "./transport.ts";

/** Times of one request and its connection, ms (spec/logplex.md §9.3). */
export interface HttpTimeouts {
  /** Default 5 s. */
  readonly connectMs: number;
  /** From the end of the request to the head of the reply; default 5 s. */
  readonly firstByteMs: number;
  /** The whole request; default 15 s. */
  readonly totalMs: number;
  /** Default 120 s, ± 10 %. */
  readonly idleMs: number;
  /** A connection is then given up between requests, so that DNS is asked again; default 1 h. */
  readonly maxAgeMs: number;
}

export const HTTP_TIMEOUTS: HttpTimeouts = Object.freeze({
  connectMs: 5000,
  firstByteMs: 5000,
  totalMs: 15_000,
  idleMs: 120_000,
  maxAgeMs: 3_600_000,
});

/** What an HTTP transport is made with. */
export interface HttpTransportOptions {
  readonly target: DrainTarget;
  readonly policy: DrainPolicy;
  readonly clock: Clock;
  readonly random: () => number;
  readonly resolve: Resolve;
  readonly userAgent: string;
  /** Value of `Logplex-Drain-Token`; left out for dialects other than logplex-1. */
  readonly drainToken?: string;
  /** Headers of the user, checked by `parseDrainOptions`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly gzip: boolean;
  readonly contentMd5?: boolean;
  /** Connections at a time. */
  readonly concurrency: number;
  readonly tls?: DrainTls;
  readonly timeouts?: Partial<HttpTimeouts>;
  /** Looks at the body of a 2xx reply, at most 64 KiB. */
  readonly readReply?: (body: Buffer) => { rejected: number; reason: string } | undefined;
}

const MAX_REPLY_BYTES = 64 * 1024;
const compress = promisify(gzip);

/** POST per frame over one kept-alive connection; byte-exact as in spec/logplex.md §9.2. */
export function createHttpTransport(options: HttpTransportOptions): DrainTransport {
  return new HttpTransport(options);
}

interface Observed {
  addresses: readonly ResolvedAddress[];
  certificates: CertificateFacts[];
  tlsProtocol?: string;
}

class HttpTransport implements DrainTransport {
  readonly #options: HttpTransportOptions;
  readonly #timeouts: HttpTimeouts;
  #agent: HttpAgent | undefined;
  #agentSince = 0;
  #idleTimer: unknown;
  #closed = false;

  constructor(options: HttpTransportOptions) {
    this.#options = options;
    this.#timeouts = { ...HTTP_TIMEOUTS, ...options.timeouts };
  }

  async send(frame: OutgoingFrame, signal: AbortSignal): Promise<SendOutcome> {
    const { clock, random } = this.#options;
    clock.clearTimeout(this.#idleTimer);
    const now = clock.now();
    if (this.#agent && now - this.#agentSince >= this.#timeouts.maxAgeMs) this.#dropAgent();
    if (!this.#agent) {
      this.#agent = this.#createAgent(true);
      this.#agentSince = now;
    }
    const watch = new Watch(clock, signal);
    let outcome = await this.#request(frame, this.#agent, watch, undefined);
    if (watch.staleConnection && outcome.kind === "temporary") {
      // The receiver had closed the idle connection: that says nothing about its health.
      this.#agent.destroy();
      this.#agent = this.#createAgent(true);
      this.#agentSince = now;
      outcome = await this.#request(frame, this.#agent, new Watch(clock, signal), undefined);
    }
    // The next try then asks DNS again; other requests in flight keep their connections.
    if (outcome.kind !== "delivered" && this.#options.concurrency === 1) this.#dropAgent();
    else if (!this.#closed) {
      const idleMs = this.#timeouts.idleMs * (0.9 + random() * 0.2);
      clock.clearTimeout(this.#idleTimer);
      this.#idleTimer = clock.setTimeout(() => this.#dropAgent(), idleMs);
    }
    return outcome;
  }

  async probe(frame: OutgoingFrame, signal: AbortSignal): Promise<ProbeReport> {
    const agent = this.#createAgent(false);
    const observed: Observed = { addresses: [], certificates: [] };
    const started = this.#options.clock.now();
    const watch = new Watch(this.#options.clock, signal);
    const outcome = await this.#request(frame, agent, watch, observed);
    agent.destroy();
    return { outcome, ...observed, latencyMs: this.#options.clock.now() - started };
  }

  preview(frame: OutgoingFrame): string {
    const lines = Object.entries(this.#headers(frame, frame.body, this.#options.gzip)).map(
      ([name, value]) => {
        const secret = name === "Authorization" || Object.hasOwn(this.#options.headers, name);
        return `${name}: ${secret ? "***" : value}`;
      },
    );
    const { target } = this.#options;
    const path = target.masked.replace(/^[^:]+:\/\/[^/?#]*/, "").replace(/#.*$/, "");
    return [
      `POST ${path === "" || path === "/" ? target.path : path} HTTP/1.1`,
      ...lines,
      "",
      "",
    ].join("\r\n");
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#dropAgent();
  }

  #dropAgent(): void {
    this.#options.clock.clearTimeout(this.#idleTimer);
    this.#agent?.destroy();
    this.#agent = undefined;
  }

  #createAgent(keepAlive: boolean): HttpAgent {
    const { target, tls } = this.#options;
    const common = { keepAlive, maxSockets: this.#options.concurrency, keepAliveMsecs: 30_000 };
    // The agent's, not each request's: Node 24 uses no connection again for a request that brings
    // a check of the peer's identity of its own.
    return target.tls
      ? new HttpsAgent({ ...common, ...tlsOptions(target, tls) })
      : new HttpAgent(common);
  }

  /** Headers in Logplex's order and spelling. */
  #headers(frame: OutgoingFrame, body: Buffer, zipped: boolean): Record<string, string> {
    const { target, drainToken, headers, userAgent } = this.#options;
    const defaultPort = target.tls ? 443 : 80;
    const host = isIP(target.host) === 6 ? `[${target.host}]` : target.host;
    const own: Record<string, string> = {
      Host: target.port === defaultPort ? host : `${host}:${target.port}`,
    };
    if (this.#options.contentMd5)
      own["Content-MD5"] = createHash("md5").update(body).digest("base64");
    if (target.credentials) {
      const { user, password } = target.credentials;
      own["Authorization"] = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
    }
    own["Content-Type"] = frame.contentType;
    if (drainToken !== undefined) {
      own["Logplex-Msg-Count"] = String(frame.count);
      own["Logplex-Frame-Id"] = frame.id;
      own["Logplex-Drain-Token"] = drainToken;
    }
    own["User-Agent"] = userAgent;
    if (zipped) own["Content-Encoding"] = "gzip";
    for (const [name, value] of Object.entries(headers)) {
      const known = Object.keys(own).find((one) => one.toLowerCase() === name.toLowerCase());
      own[known ?? name] = value;
    }
    own["Content-Length"] = String(body.length);
    return own;
  }

  async #request(
    frame: OutgoingFrame,
    agent: HttpAgent,
    watch: Watch,
    observed: Observed | undefined,
  ): Promise<SendOutcome> {
    const { target, policy, resolve } = this.#options;
    try {
      watch.limit("total", this.#timeouts.totalMs, "no complete reply in time");
      watch.limit("connect", this.#timeouts.connectMs, "could not connect in time");
      // Checked at every request: a kept connection stays on the address that was checked for it.
      const answers = await watch.race(resolveChecked(target.host, policy, resolve));
      if (observed) observed.addresses = answers;
      const body = this.#options.gzip ? await watch.race(compress(frame.body)) : frame.body;
      const request = (target.tls ? httpsRequest : httpRequest)({
        agent,
        host: target.host,
        port: target.port,
        method: "POST",
        path: target.path,
        setHost: false,
        headers: this.#headers(frame, body, this.#options.gzip),
        lookup: pinnedLookup(answers),
      });
      // Logplex sends none, and HTTP/1.1 connections persist without it.
      request.removeHeader("Connection");
      return await watch.race(this.#exchange(request, body, watch, observed));
    } catch (error) {
      if (watch.aborted) return { kind: "aborted" };
      const outcome = outcomeOfError(error);
      const [certificate] = watch.certificates;
      return outcome.kind === "certificate" && certificate ? { ...outcome, certificate } : outcome;
    } finally {
      watch.end();
    }
  }

  #exchange(
    request: ClientRequest,
    body: Buffer,
    watch: Watch,
    observed: Observed | undefined,
  ): Promise<SendOutcome> {
    watch.onEnd(() => request.destroy());
    return new Promise((resolve, reject) => {
      request.on("error", (error) => {
        watch.staleConnection = request.reusedSocket;
        reject(error);
      });
      request.on("socket", (socket) => {
        onReady(socket, this.#options.target.tls, () => {
          watch.clear("connect");
          if (observed && this.#options.target.tls) observeTls(socket as TLSSocket, observed);
        });
        // A connection that carried a request before was verified then.
        if (this.#options.target.tls && !request.reusedSocket)
          watchPeer(socket as TLSSocket, (chain) => {
            watch.certificates = chain;
          });
      });
      request.on("finish", () => {
        watch.clear("connect");
        watch.limit("first byte", this.#timeouts.firstByteMs, "no reply in time");
      });
      request.on("response", (response) => {
        watch.clear("connect");
        watch.clear("first byte");
        resolve(this.#conclude(response, watch));
      });
      request.end(body);
    });
  }

  /**
   * The status decides, so a body that never ends can't take a delivered frame back. The body is
   * read only so far as the connection can be used again, or as the dialect wants to look at it.
   */
  async #conclude(response: IncomingMessage, watch: Watch): Promise<SendOutcome> {
    watch.staleConnection = false;
    const outcome = outcomeOfResponse(response, this.#options.clock.now());
    const reply = await readReply(response, watch);
    const readReplyBody = this.#options.readReply;
    if (outcome.kind !== "delivered" || !readReplyBody || reply === undefined) return outcome;
    const partial = readReplyBody(reply);
    return partial && partial.rejected > 0 ? { ...outcome, ...partial } : outcome;
  }
}

function readReply(response: IncomingMessage, watch: Watch): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const stop = (reply: Buffer | undefined) => {
      // Only a connection whose reply was read to its end can carry the next request.
      if (reply === undefined) response.destroy();
      resolve(reply);
    };
    // From here on a timeout or an abort only ends the reading.
    watch.divert(() => stop(undefined));
    response.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_REPLY_BYTES) stop(undefined);
      else chunks.push(chunk);
    });
    response.on("end", () => stop(Buffer.concat(chunks)));
    response.on("error", () => stop(undefined));
    response.on("close", () => stop(undefined));
  });
}

function onReady(socket: Socket, secure: boolean, ready: () => void): void {
  if (!socket.connecting && (!secure || (socket as TLSSocket).getPeerCertificate !== undefined)) {
    if (!secure || (socket as TLSSocket).getProtocol() !== null) {
      ready();
      return;
    }
  }
  socket.once(secure ? "secureConnect" : "connect", ready);
}

function observeTls(socket: TLSSocket, observed: Observed): void {
  observed.certificates = certificatesOf(socket);
  const protocol = socket.getProtocol();
  if (protocol !== null) observed.tlsProtocol = protocol;
}

/** Timers and ends of one request. */
class Watch {
  certificates: CertificateFacts[] = [];
  /** The request failed on a connection that had carried another one before. */
  staleConnection = false;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #timers = new Map<string, unknown>();
  readonly #ends: (() => void)[] = [];
  #ended = false;
  readonly #failure: Promise<never>;
  #fail!: (error: Error) => void;
  readonly #onAbort = () => this.#fail(new Error("aborted"));

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    this.#failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // The race below is what reports it; without a race in progress nobody needs to hear.
    this.#failure.catch(() => undefined);
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  get aborted(): boolean {
    return this.#signal.aborted;
  }

  /** What happens instead of failing when time is up or the signal aborts. */
  divert(run: () => void): void {
    this.#fail = run;
    if (this.#signal.aborted) run();
  }

  limit(name: string, ms: number, message: string): void {
    // A request that was given up may still report that it was written.
    if (this.#ended) return;
    this.clear(name);
    this.#timers.set(
      name,
      this.#clock.setTimeout(() => this.#fail(new SendTimeout(message)), ms),
    );
  }

  clear(name: string): void {
    this.#clock.clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failure]);
  }

  onEnd(run: () => void): void {
    this.#ends.push(run);
  }

  end(): void {
    this.#ended = true;
    for (const name of [...this.#timers.keys()]) this.clear(name);
    this.#signal.removeEventListener("abort", this.#onAbort);
    for (const run of this.#ends) run();
  }
}
