import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Logger } from "../logger.ts";
import { refuseAttach, serveFramed } from "./framed-run.ts";
import { MarkerSplitter } from "./marker.ts";

/**
 * The streams of an attached one-off, both ways. A `DriverSession` of the manifold fits.
 */
export interface RendezvousStreams {
  readonly output: AsyncIterable<{
    readonly stream: "stdout" | "stderr";
    readonly bytes: Uint8Array;
  }>;
  write(bytes: Uint8Array): Promise<void>;
  /** Half-close: the process reads end of file. */
  end(): Promise<void>;
  /** How the process ended, when the session itself can't say. */
  wait?(): Promise<RendezvousExit>;
  /** Client gone: the process gets SIGHUP. */
  close(): Promise<void>;
}

/** Status or signal of a process that ended. */
export interface RendezvousExit {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** A one-off that waits for its client. The `OneOffSession` of the manifold fits. */
export interface RendezvousSession {
  /**
   * Called at most once, when the client is there. Resolves to {@link RendezvousStreams}; the
   * reason of a rejection is told to the client, for instance that nobody came in time (R13).
   */
  open(): Promise<unknown>;
  /** How the one-off ended; told to clients of plain HTTP. */
  wait?(): Promise<RendezvousExit>;
}

interface Offer {
  readonly session: RendezvousSession;
  readonly tty: boolean;
  readonly cancelTimer: () => void;
}

/** Options of {@link Rendezvous}. */
export interface RendezvousOptions {
  /** ms until an unused secret is forgotten. Default 60 000: a manifold waits 30 (R13). */
  readonly offerTtlMs?: number;
  /** Secrets that may wait; the oldest gives way. Default 10 000. */
  readonly maxOffers?: number;
  /**
   * ms after the greeting within which a client without a terminal is not hung up on before it
   * ended its input: the heroku CLI crashes when it can't say that any more. Default 500.
   */
  readonly lingerMs?: number;
  readonly logger: Logger;
}

/** The bytes that mean "up"; the client throws away the whole chunk that they come in. */
const GREETING = Buffer.from("rendezvous\r\n");
const END_OF_TRANSMISSION = 0x04;
/** Input of a client that may wait for the process before its connection is paused. */
const MAX_PENDING_INPUT = 256 * 1024;

/**
 * The server side of attached one-offs (spec/platform-api.md §4): hands out single-use secrets
 * and splices the client that presents one to the dyno's streams.
 */
export class Rendezvous {
  readonly #offers = new Map<string, Offer>();
  readonly #sockets = new Set<TLSSocket>();
  readonly #responses = new Set<ServerResponse>();
  readonly #running = new Set<Promise<void>>();
  readonly #ttlMs: number;
  readonly #maxOffers: number;
  readonly #lingerMs: number;
  readonly #logger: Logger;
  #closed = false;

  constructor(options: RendezvousOptions) {
    this.#ttlMs = options.offerTtlMs ?? 60_000;
    this.#maxOffers = options.maxOffers ?? 10_000;
    this.#lingerMs = options.lingerMs ?? 500;
    this.#logger = options.logger;
  }

  /** Secrets that nobody has used yet. */
  get waiting(): number {
    return this.#offers.size;
  }

  /** Returns the secret under which one client, and no second one, can attach. */
  offer(session: RendezvousSession, options: { readonly tty: boolean }): string {
    const secret = randomBytes(32).toString("hex");
    const key = keyOf(secret);
    if (this.#offers.size >= this.#maxOffers) {
      const oldest = this.#offers.keys().next().value;
      if (oldest !== undefined) this.#take(oldest);
    }
    const timer = setTimeout(() => this.#take(key), this.#ttlMs);
    timer.unref();
    this.#offers.set(key, {
      session,
      tty: options.tty,
      cancelTimer: () => clearTimeout(timer),
    });
    return secret;
  }

  /**
   * Serves a connection whose first line, already read, is the secret. An unknown secret is
   * closed without a word: nothing tells apart wrong, used and expired ones.
   */
  accept(socket: TLSSocket, line: string): void {
    const offer = this.#closed ? undefined : this.#take(keyOf(line));
    socket.on("error", () => undefined);
    if (offer === undefined) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    const run = splice(socket, offer, this.#lingerMs)
      .catch((error: unknown) => {
        this.#logger.warn({ error: String(error) }, "An attached one-off failed");
      })
      .finally(() => {
        socket.destroy();
        this.#running.delete(run);
      });
    this.#running.add(run);
  }

  /** Serves a client that presents its secret over HTTP: see {@link serveFramed}. */
  acceptHttp(request: IncomingMessage, response: ServerResponse, secret: string): void {
    if (request.method !== "POST") {
      refuseAttach(response, 405, "Attach with POST; the body is the input of the process.");
      return;
    }
    const offer = this.#closed ? undefined : this.#take(keyOf(secret));
    if (offer === undefined) {
      refuseAttach(response, 404, "This attach URL is unknown, used or expired. Run again.");
      return;
    }
    this.#responses.add(response);
    const run = serveFramed(request, response, offer.session)
      .catch((error: unknown) => {
        this.#logger.warn({ error: String(error) }, "An attached one-off failed");
        response.destroy();
      })
      .finally(() => {
        this.#responses.delete(response);
        this.#running.delete(run);
      });
    this.#running.add(run);
  }

  /** Forgets all secrets, disconnects all clients and waits until their dynos know. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const key of [...this.#offers.keys()]) this.#take(key);
    for (const socket of this.#sockets) socket.destroy();
    for (const response of this.#responses) response.destroy();
    await Promise.all(this.#running);
  }

  #take(key: string): Offer | undefined {
    const offer = this.#offers.get(key);
    offer?.cancelTimer();
    this.#offers.delete(key);
    return offer;
  }
}

/** Looked up by hash, so that the time of a miss says nothing about the secrets. */
function keyOf(secret: string): string {
  return createHash("sha256").update(secret).digest("base64");
}

async function splice(socket: TLSSocket, offer: Offer, lingerMs: number): Promise<void> {
  // From here on every TLS record is an event of its own; nothing is lost before `feed` starts.
  socket.setNoDelay(true);
  const gone = new Promise<"gone">((resolve) => {
    if (socket.destroyed) resolve("gone");
    socket.once("close", () => resolve("gone"));
    socket.once("end", () => resolve("gone"));
  });
  let streams: RendezvousStreams;
  const input = new InputQueue(socket);
  try {
    streams = (await offer.session.open()) as RendezvousStreams;
  } catch (error) {
    await send(socket, GREETING);
    const reason = error instanceof Error ? error.message : "unknown";
    await send(socket, Buffer.from(` !     The dyno could not be reached: ${reason}\r\n`));
    socket.end();
    return;
  }
  const feeding = input.feed(async (chunk) => {
    // A client without a terminal says end of input with one 0x04 in a record of its own; on a
    // terminal the line discipline gives the byte its meaning.
    if (!offer.tty && isEndOfInput(chunk)) await streams.end();
    else await streams.write(chunk);
  });
  feeding.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  try {
    // A write of its own and flushed: in one chunk with output it would take that with it.
    await send(socket, GREETING);
    const lingered = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, lingerMs);
    });
    const pumping = pumpOutput(streams, socket);
    // After a disconnect the output is still read to its end, so that the process can't block.
    pumping.catch(() => undefined);
    const ended = await Promise.race([pumping, gone]);
    // Tells a client that went from a process that ended: only the first means SIGHUP.
    if (ended === "gone") await streams.close();
    else {
      if (!offer.tty) await Promise.race([input.ended, lingered, gone]);
      socket.end();
      await gone;
    }
  } finally {
    clearTimeout(timer);
    input.stop();
  }
}

function isEndOfInput(chunk: Buffer): boolean {
  return chunk.length === 1 && chunk[0] === END_OF_TRANSMISSION;
}

async function pumpOutput(streams: RendezvousStreams, socket: TLSSocket): Promise<"ended"> {
  const marker = new MarkerSplitter();
  for await (const { bytes } of streams.output)
    for (const part of marker.push(bytes)) await send(socket, part);
  for (const part of marker.flush()) await send(socket, part);
  return "ended";
}

/** Resolves when the bytes are on their way, or the client is gone. */
function send(socket: TLSSocket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.write(bytes, () => resolve());
  });
}

/** Chunks of a client in their order and with their borders, before and after the process is there. */
class InputQueue {
  readonly #socket: TLSSocket;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #wake: (() => void) | undefined;
  #stopped = false;
  #end: () => void = () => undefined;
  /** Resolves when the client without a terminal said that its input is over. */
  readonly ended = new Promise<void>((resolve) => {
    this.#end = resolve;
  });

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("data", this.#onData);
  }

  /** Gives every chunk to `sink`, one after the other, until `stop`. */
  async feed(sink: (chunk: Buffer) => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      const chunk = this.#chunks.shift();
      if (chunk === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      try {
        await sink(chunk);
      } catch {
        // The process does not read any more; its output and end still matter.
        this.#stopped = true;
        this.#socket.resume();
        return;
      }
      this.#bytes -= chunk.length;
      if (this.#bytes < MAX_PENDING_INPUT) this.#socket.resume();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  readonly #onData = (chunk: Buffer) => {
    if (isEndOfInput(chunk)) this.#end();
    if (this.#stopped) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= MAX_PENDING_INPUT) this.#socket.pause();
    this.#wake?.();
  };
}
