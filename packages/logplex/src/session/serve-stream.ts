import type { IncomingMessage } from "node:http";
import type { Channel } from "../channel/channel.ts";
import { HISTORY_WAIT_MS, readyWithin } from "../channel/ready-within.ts";
import type { Clock } from "../clock.ts";
import { LogplexError } from "../errors.ts";
import { createNotice, HISTORY_UNAVAILABLE, TAILS_FORBIDDEN } from "../tail/notice.ts";
import type { Tail, TailEvent } from "../tail/tail.ts";
import type { SessionClaims } from "./session-token.ts";
import type { Sink } from "./sink.ts";

/** A session that is being read. */
export interface OpenStream {
  readonly finished: Promise<void>;
  close(): void;
}

/** What a reader of a channel without history is told, as by Logplex for its flag `no_redis`. */
const NO_HISTORY = "This app keeps no log history.";

interface StreamContext {
  readonly channel: Channel;
  readonly claims: SessionClaims;
  readonly request: IncomingMessage;
  readonly sink: Sink;
  readonly clock: Clock;
  readonly keepAliveMs: number;
}

/** Writes a session's lines to its reader (spec/logplex.md §8.1). */
export function serveStream(context: StreamContext): OpenStream {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  context.sink.onGone(stop);
  const finished = run(context, controller.signal).finally(() => context.sink.end());
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
  const { channel, claims, request, sink, clock } = context;
  const after = resumePoint(request);
  const say = (text: string, seq: number): void => {
    const message = createNotice(text, clock.now() * 1000, seq);
    if (!sink.ended) sink.write([sink.format.encode({ kind: "message", message })]);
  };
  if (!(await readyWithin(channel, clock, HISTORY_WAIT_MS))) {
    sink.begin();
    say(HISTORY_UNAVAILABLE, 0);
    return;
  }
  let tail: Tail;
  try {
    const until = claims.tail && channel.tailable ? undefined : channel.nextSeq;
    tail = channel.tail({ ...claims, after, signal, until });
  } catch (error) {
    if (!LogplexError.is(error)) throw error;
    sink.refuse(error.status, error.message, error.status === 429 ? { "Retry-After": "5" } : {});
    return;
  }
  try {
    sink.begin(channel.storing ? {} : { "X-Heroku-Warning": NO_HISTORY });
    if (claims.tail && channel.tailable) await follow(tail, context, signal);
    else await drain(tail, sink, signal);
    if (claims.tail && !channel.tailable) say(TAILS_FORBIDDEN, channel.nextSeq - 1);
  } catch {
    // History is gone while it is read: the reader is told, the server goes on (L15).
    say(HISTORY_UNAVAILABLE, 0);
  } finally {
    tail.close();
  }
}

/** Writes what is there and ends. */
async function drain(tail: Tail, sink: Sink, signal: AbortSignal): Promise<void> {
  while (!tail.closed && !signal.aborted) {
    const events = tail.take();
    if (events.length > 0) await write(sink, events, signal);
    else if (!tail.closed) await tail.ready();
  }
}

async function follow(tail: Tail, context: StreamContext, signal: AbortSignal): Promise<void> {
  const { clock, sink, keepAliveMs } = context;
  const stop = beatWhileOpen(sink, clock, keepAliveMs);
  try {
    while (!tail.closed && !signal.aborted) {
      const events = tail.take();
      if (events.length === 0) await tail.ready();
      else await write(sink, events, signal);
    }
  } finally {
    stop();
  }
}

/** Shows a reader every `ms` that the stream lives; returns what ends it. */
export function beatWhileOpen(sink: Pick<Sink, "beat">, clock: Clock, ms: number): () => void {
  let timer: unknown;
  const beat = (): void => {
    sink.beat();
    timer = clock.setTimeout(beat, ms);
  };
  timer = clock.setTimeout(beat, ms);
  return () => clock.clearTimeout(timer);
}

/** Writes and waits for the client, so that a slow one holds back only itself. */
async function write(sink: Sink, events: readonly TailEvent[], signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { format } = sink;
  if (!sink.write(events.map((event) => format.encode(event)))) await sink.ready(signal);
}
