import type { IncomingMessage } from "node:http";
import { displayLines } from "../frame/display.ts";
import { messageToJson } from "../ring/ring-message.ts";
import type { TailEvent } from "../tail/tail.ts";

/** How the lines of a session are written. */
export interface StreamFormat {
  readonly contentType: string;
  readonly preamble: string;
  readonly keepAlive: string;
  encode(event: TailEvent): string;
}

/** A message as one server-sent event; no byte of a body can end a field (spec/logplex.md §8.1). */
function sseMessage(event: TailEvent): string {
  const message = event.kind === "message" ? event.message : event.notice;
  const id = event.kind === "message" ? (event.after ?? message.seq) : message.seq;
  let text = `id: ${id}\n`;
  for (const line of displayLines(message)) text += `data: ${line}\n`;
  if (event.kind === "message") return `${text}\n`;
  const loss = JSON.stringify({ code: "L11", lost: event.lost, lastSeq: event.seq });
  // Readers that know only lines ignore the named event and see the notice.
  return `event: loss\ndata: ${loss}\n\n${text}\n`;
}

const SSE: StreamFormat = {
  // Without parameters: clients compare the whole value.
  contentType: "text/event-stream",
  preamble: "retry: 1000\n\n",
  keepAlive: ": hb\n\n",
  encode: sseMessage,
};

const TEXT: StreamFormat = {
  contentType: "text/plain; charset=utf-8",
  preamble: "",
  keepAlive: "\0",
  encode: (event) =>
    displayLines(event.kind === "message" ? event.message : event.notice)
      .map((line) => `${line}\n`)
      .join(""),
};

const NDJSON: StreamFormat = {
  contentType: "application/x-ndjson",
  preamble: "",
  keepAlive: "\n",
  encode: (event) =>
    event.kind === "message"
      ? `${JSON.stringify(messageToJson(event.message))}\n`
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

/** Server-sent events when they are asked for, NDJSON likewise, else plain text. */
export function chooseStreamFormat(request: IncomingMessage): StreamFormat {
  const accept = request.headers.accept ?? "";
  if (accept.includes("text/event-stream")) return SSE;
  if (accept.includes("application/x-ndjson")) return NDJSON;
  return TEXT;
}
