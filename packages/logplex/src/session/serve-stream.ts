import type { IncomingMessage, ServerResponse } from "node:http";
import type { Channel } from "../channel/channel.ts";
import type { Clock } from "../clock.ts";
import { LogplexError } from "../errors.ts";
import { createNotice, HISTORY_UNAVAILABLE, TAILS_FORBIDDEN } from "../tail/notice.ts";
import type { Tail, TailEvent } from "../tail/tail.ts";
import type { SessionClaims } from "./session-token.ts";
import { chooseStreamFormat, type StreamFormat } from "./stream-format.ts";

/** A response that is being written. */
export interface OpenStream {
  readonly finished: Promise<void>;
  close(): void;
}

interface StreamContext {
  readonly channel: Channel;
  readonly claims: SessionClaims;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly clock: Clock;
  readonly keepAliveMs: number;
}

/** Writes a session's lines to its response (spec/logplex.md §8.1). */
export function serveStream(context: StreamContext): OpenStream {
  const controller = new AbortController();
  const { response } = context;
  const stop = (): void => controller.abort();
  response.on("close", stop);
  // A reset by the peer is how a reader says that it has had enough.
  response.on("error", stop);
  const finished = run(context, controller.signal).finally(() => {
    response.off("close", stop);
    if (!response.writableEnded) response.end();
  });
  return { finished, close: stop };
}

/** The number after which a client wants to go on, from `Last-Event-ID` or `?after=`. */
function resumePoint(request: IncomingMessage): number | undefined {
  const { searchParams } = new URL(request.url ?? "/", "http://session");
  for (const text of [request.headers["last-event-id"], searchParams.get("after")]) {
    if (typeof text === "string" && /^\d{1,15}$/.test(text)) return Number(text);
  }
  return undefined;
}

async function run(context: StreamContext, signal: AbortSignal): Promise<void> {
  const { channel, claims, request, response, clock } = context;
  const format = chooseStreamFormat(request);
  const after = resumePoint(request);
  let tail: Tail;
  try {
    const until = claims.tail && channel.tailable ? undefined : channel.nextSeq;
    tail = channel.tail({ ...claims, after, signal, until });
  } catch (error) {
    if (!LogplexError.is(error)) throw error;
    response.writeHead(error.status, {
      "Content-Type": "text/plain; charset=utf-8",
      ...(error.status === 429 ? { "Retry-After": "5" } : {}),
    });
    response.end(`${error.message}\n`);
    return;
  }
  try {
    response.writeHead(200, {
      "Content-Type": format.contentType,
      "Cache-Control": "no-cache, no-store",
      "X-Accel-Buffering": "no",
    });
    if (format.preamble !== "") response.write(format.preamble);
    // The head must reach a client that waits for the first line.
    else response.flushHeaders();
    if (claims.tail && channel.tailable) await follow(tail, format, context, signal);
    else await drain(tail, format, response, signal);
    if (claims.tail && !channel.tailable && !response.writableEnded) {
      const notice = createNotice(TAILS_FORBIDDEN, clock.now() * 1000, channel.nextSeq - 1);
      response.write(format.encode({ kind: "message", message: notice }));
    }
  } catch {
    // History is gone while it is read: the reader is told, the server goes on (L15).
    const notice = createNotice(HISTORY_UNAVAILABLE, clock.now() * 1000, 0);
    if (!response.writableEnded)
      response.write(format.encode({ kind: "message", message: notice }));
  } finally {
    tail.close();
  }
}

/** Writes what is there and ends. */
async function drain(
  tail: Tail,
  format: StreamFormat,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  for (let events = tail.take(); events.length > 0; events = tail.take())
    await write(response, encode(events, format), signal);
}

async function follow(
  tail: Tail,
  format: StreamFormat,
  context: StreamContext,
  signal: AbortSignal,
): Promise<void> {
  const { clock, response, keepAliveMs } = context;
  let timer: unknown;
  const beat = (): void => {
    if (response.writableLength === 0) response.write(format.keepAlive);
    timer = clock.setTimeout(beat, keepAliveMs);
  };
  timer = clock.setTimeout(beat, keepAliveMs);
  try {
    while (!tail.closed && !signal.aborted) {
      const events = tail.take();
      if (events.length === 0) await tail.ready();
      else await write(response, encode(events, format), signal);
    }
  } finally {
    clock.clearTimeout(timer);
  }
}

function encode(events: readonly TailEvent[], format: StreamFormat): string {
  let text = "";
  for (const event of events) text += format.encode(event);
  return text;
}

/** Writes and waits for the client, so that a slow one holds back only itself. */
async function write(response: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
  if (signal.aborted || text === "" || response.write(text)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    response.on("drain", done);
    signal.addEventListener("abort", done, { once: true });
  });
}
