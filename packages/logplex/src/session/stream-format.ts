import type { IncomingMessage } from "node:http";
import { displayLines } from "../frame/display.ts";
import { encodeFrame } from "../frame/encode.ts";
import type { StoredMessage } from "../message.ts";
import { jsonLine, messageToJson } from "../ring/ring-message.ts";
import type { TailEvent } from "../tail/tail.ts";

/** What of a stream is the same whatever it carries. */
export interface StreamHead {
  readonly contentType: string;
  readonly preamble: string;
  /** `""`: the format has nothing that a reader ignores. */
  readonly keepAlive: string;
}

/** How the lines of a session are written. */
export interface StreamFormat<Chunk extends string | Buffer = string | Buffer> extends StreamHead {
  encode(event: TailEvent): Chunk;
}

function messageOf(event: TailEvent): StoredMessage {
  return event.kind === "message" ? event.message : event.notice;
}

function frameOf(event: TailEvent): Buffer {
  return encodeFrame(messageOf(event), { dialect: "logplex" });
}

/** A message as one server-sent event; no byte of a body can end a field (spec/logplex.md §8.1). */
function sseEvent(event: TailEvent, lines: readonly string[]): string {
  const message = messageOf(event);
  const id = event.kind === "message" ? (event.after ?? message.seq) : message.seq;
  // A notice that stands nowhere in the channel leaves the place of the reader as it is.
  let text = id === 0 ? "" : `id: ${id}\n`;
  for (const line of lines) text += `data: ${line}\n`;
  if (event.kind === "message") return `${text}\n`;
  const loss = JSON.stringify({ code: "L11", lost: event.lost, lastSeq: event.seq });
  // Readers that know only lines ignore the named event and see the notice.
  return `event: loss\ndata: ${loss}\n\n${text}\n`;
}

const SSE: StreamFormat<string> = {
  // Without parameters: clients compare the whole value.
  contentType: "text/event-stream",
  preamble: "retry: 1000\n\n",
  keepAlive: ": hb\n\n",
  encode: (event) => sseEvent(event, displayLines(messageOf(event))),
};

/** Each event is one frame in base64: every octet of it, and a number to resume after. */
const SSE_FRAMES: StreamFormat<string> = {
  ...SSE,
  encode: (event) => sseEvent(event, [frameOf(event).toString("base64")]),
};

const FRAMES: StreamFormat<Buffer> = {
  contentType: "application/logplex-1",
  preamble: "",
  keepAlive: "",
  encode: frameOf,
};

const TEXT: StreamFormat<string> = {
  contentType: "text/plain; charset=utf-8",
  preamble: "",
  keepAlive: "\0",
  encode: (event) =>
    displayLines(messageOf(event))
      .map((line) => `${line}\n`)
      .join(""),
};

const NDJSON: StreamFormat<string> = {
  contentType: "application/x-ndjson",
  preamble: "",
  keepAlive: "\n",
  encode: (event) =>
    event.kind === "message"
      ? `${jsonLine(messageToJson(event.message))}\n`
      : `${JSON.stringify({ loss: { code: "L11", lost: event.lost, lastSeq: event.seq } })}\n`,
};

const SOCKET_TEXT: StreamFormat = {
  ...TEXT,
  encode: (event) => TEXT.encode(event).slice(0, -1),
};

const SOCKET_JSON: StreamFormat = {
  ...NDJSON,
  encode: (event) => NDJSON.encode(event).slice(0, -1),
};

/** Subprotocols of a WebSocket session, the first one is the default. */
export const SOCKET_PROTOCOLS = ["logplex.json", "logplex.text"] as const;

/** The form of the lines for a subprotocol. */
export function socketFormat(protocol: string): StreamFormat {
  return protocol === "logplex.text" ? SOCKET_TEXT : SOCKET_JSON;
}

/**
 * Server-sent events when they are asked for, NDJSON and octet-counted frames likewise, else plain
 * text. Who asks for events and frames gets events that hold a frame in base64.
 */
export function chooseStreamFormat(request: IncomingMessage): StreamFormat {
  const accept = request.headers.accept ?? "";
  const frames = accept.includes("application/logplex-1");
  if (accept.includes("text/event-stream")) return frames ? SSE_FRAMES : SSE;
  if (frames) return FRAMES;
  if (accept.includes("application/x-ndjson")) return NDJSON;
  return TEXT;
}
