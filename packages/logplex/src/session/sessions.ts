import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { Channel } from "../channel/channel.ts";
import { compileFilter, type FilterOptions } from "../channel/filter.ts";
import type { Clock, RandomBytes } from "../clock.ts";
import { LogplexError } from "../errors.ts";
import { openWindow } from "../tail/time-window.ts";
import { type OpenStream, serveStream } from "./serve-stream.ts";
import { type SessionClaims, signSession, verifySession } from "./session-token.ts";
import { responseSink, type Sink, socketSink } from "./sink.ts";
import { chooseStreamFormat, SOCKET_PROTOCOLS } from "./stream-format.ts";

/** Unopened sessions are void after 5 minutes (spec/logplex.md §8.2). */
export const SESSION_TTL_MS = 5 * 60_000;
const GONE = "This log session does not exist or has expired; create a new one.";
const OFF = "This router shows no logs now; try again later.";
const MAX_REMEMBERED = 100_000;

/** Options of {@link Logplex.createSession}. */
export interface SessionOptions extends FilterOptions {
  /** How many of the newest matching lines come first; default 100. */
  readonly lines?: number | undefined;
  /** Stay open for new lines; default false. */
  readonly tail?: boolean | undefined;
  /** Order by time within so many ms, at most 10,000; default 0. Resuming may then repeat lines. */
  readonly sortMs?: number | undefined;
  /** Allow opening again without `tail`; default false. Tails can always be resumed. */
  readonly resume?: boolean | undefined;
}

/** A capability to read one channel through one filter. */
export interface Session {
  readonly id: string;
  /** Goes to `serveSession`; whoever has it can read. */
  readonly secret: string;
  /** Path and query to put behind the address of the server: `/sessions/<secret>?tail=true`. */
  readonly path: string;
  /** ms since the epoch; an open or resumed tail outlives it. */
  readonly expiresAt: number;
}

interface Use {
  open: number;
  /** ms; a resumable session may come back until then. */
  until: number;
}

/** Makes and serves sessions. */
export class Sessions {
  readonly #key: Uint8Array;
  readonly #clock: Clock;
  readonly #random: RandomBytes;
  readonly #find: (channel: string) => Channel | undefined;
  readonly #uses = new Map<string, Use>();
  /** Whether each follows its channel. */
  readonly #streams = new Map<OpenStream, boolean>();
  readonly #keepAliveMs: number;
  readonly #served: () => boolean;
  /** Readers send nothing that is needed, so their messages are small. */
  readonly #sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: 1024,
    perMessageDeflate: false,
    handleProtocols: (offered) => SOCKET_PROTOCOLS.find((one) => offered.has(one)) ?? false,
  });

  constructor(options: {
    readonly key: Uint8Array;
    readonly clock: Clock;
    readonly random: RandomBytes;
    readonly find: (channel: string) => Channel | undefined;
    readonly keepAliveMs: number;
    /** Asked at every request; default: yes. */
    readonly served?: () => boolean;
  }) {
    this.#served = options.served ?? (() => true);
    this.#key = options.key;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#find = options.find;
    this.#keepAliveMs = options.keepAliveMs;
  }

  /** Open responses. */
  get openCount(): number {
    return this.#streams.size;
  }

  create(channel: string, options: SessionOptions): Session {
    const lines = options.lines ?? 100;
    if (!Number.isInteger(lines) || lines < 0)
      throw new LogplexError(
        "bad-request",
        `lines is ${String(options.lines)}; give a whole number of 0 or more.`,
      );
    const now = this.#clock.now();
    compileFilter(options, now);
    openWindow(options.sortMs);
    const expiresAt = now + SESSION_TTL_MS;
    const id = uuid(this.#random(16));
    const claims: SessionClaims = {
      id,
      channel,
      ...pick(options),
      lines,
      tail: options.tail === true,
      ...(options.sortMs === undefined || options.sortMs === 0 ? {} : { sortMs: options.sortMs }),
      resume: options.resume === true,
      expiresAt,
    };
    const secret = signSession(this.#key, claims);
    const path = `/sessions/${secret}${claims.tail ? "?tail=true" : ""}`;
    return { id, secret, path, expiresAt };
  }

  /** Answers a GET; resolves when the response has ended. Never rejects for what the client does. */
  async serve(secret: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "GET" && request.method !== "HEAD") {
      refuse(response, 405, "Use GET to read a log session.", { Allow: "GET" });
      return;
    }
    if (!this.#served()) {
      refuse(response, 503, OFF, { "Retry-After": "30" });
      return;
    }
    const found = this.#claim(secret);
    if (found === undefined) {
      refuse(response, 404, GONE);
      return;
    }
    if (request.method === "HEAD") {
      response.writeHead(200, { "Content-Type": "text/event-stream" }).end();
      return;
    }
    await this.#stream(found, request, responseSink(response, chooseStreamFormat(request)));
  }

  /**
   * Takes the upgrade of a request to a WebSocket: one text message per line, JSON unless the
   * subprotocol `logplex.text` is asked for. `?after=` resumes.
   */
  serveSocket(secret: string, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // A peer that resets in the handshake concerns nobody else.
    socket.on("error", () => socket.destroy());
    if (!this.#served()) {
      endUpgrade(socket, 503, OFF);
      return;
    }
    const found = this.#claim(secret);
    if (found === undefined) {
      endUpgrade(socket, 404, GONE);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (upgraded) => {
      // What ends badly is over for this reader alone.
      this.#stream(found, request, socketSink(upgraded)).catch(() => upgraded.terminate());
    });
  }

  /** The claims of a secret that may be used now, and their channel. */
  #claim(
    secret: string,
  ): { readonly claims: SessionClaims; readonly channel: Channel } | undefined {
    const claims = verifySession(this.#key, secret);
    if (claims === undefined) return undefined;
    const now = this.#clock.now();
    this.#forget(now);
    const use = this.#uses.get(claims.id);
    const resumable = claims.tail || claims.resume;
    const alive =
      use === undefined ? now < claims.expiresAt : resumable && (use.open > 0 || now < use.until);
    const channel = alive ? this.#find(claims.channel) : undefined;
    return channel && { claims, channel };
  }

  async #stream(
    { claims, channel }: { readonly claims: SessionClaims; readonly channel: Channel },
    request: IncomingMessage,
    sink: Sink,
  ): Promise<void> {
    let held = this.#uses.get(claims.id);
    if (held === undefined) {
      if (this.#uses.size >= MAX_REMEMBERED) this.#uses.delete(this.#uses.keys().next().value!);
      held = { open: 0, until: 0 };
      this.#uses.set(claims.id, held);
    }
    held.open += 1;
    const stream = serveStream({
      channel,
      claims,
      request,
      sink,
      clock: this.#clock,
      keepAliveMs: this.#keepAliveMs,
    });
    this.#streams.set(stream, claims.tail);
    try {
      await stream.finished;
    } finally {
      this.#streams.delete(stream);
      held.open -= 1;
      held.until = Math.max(this.#clock.now(), claims.expiresAt - SESSION_TTL_MS) + SESSION_TTL_MS;
    }
  }

  /** Ends all open responses. */
  async close(): Promise<void> {
    const open = [...this.#streams.keys()];
    for (const stream of open) stream.close();
    await Promise.allSettled(open.map((stream) => stream.finished));
  }

  /** Ends those that follow their channel, even where the reader has stopped taking. */
  closeTails(): void {
    for (const [stream, tail] of this.#streams) if (tail) stream.close();
  }

  /** A use must be remembered while its URL could still be taken for an unused one. */
  #forget(now: number): void {
    if (this.#uses.size < 1024) return;
    for (const [id, use] of this.#uses)
      if (use.open === 0 && now >= use.until) this.#uses.delete(id);
  }
}

function pick(options: FilterOptions): Pick<SessionClaims, "source" | "dyno" | "type" | "query"> {
  const { source, dyno, type, query } = options;
  return {
    ...(source === undefined ? {} : { source }),
    ...(dyno === undefined ? {} : { dyno }),
    ...(type === undefined ? {} : { type }),
    ...(query === undefined ? {} : { query }),
  };
}

/** A version 4 UUID from 16 random bytes. */
export function uuid(bytes: Uint8Array): string {
  const copy = Buffer.from(bytes.subarray(0, 16));
  copy[6] = (copy[6]! & 0x0f) | 0x40;
  copy[8] = (copy[8]! & 0x3f) | 0x80;
  const hex = copy.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8", ...headers });
  response.end(`${message}\n`);
}

function endUpgrade(socket: Duplex, status: number, message: string): void {
  const body = `${message}\n`;
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      "Connection: close",
      "Content-Type: text/plain; charset=utf-8",
      `Content-Length: ${Buffer.byteLength(body)}`,
      "",
      body,
    ].join("\r\n"),
  );
}
