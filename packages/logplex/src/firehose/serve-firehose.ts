import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../clock.ts";
import { jsonLine, messageToJson } from "../ring/ring-message.ts";
import { beatWhileOpen } from "../session/serve-stream.ts";
import { responseSink } from "../session/sink.ts";
import type { StreamHead } from "../session/stream-format.ts";
import type { FirehoseEvent, FirehoseReader } from "./reader.ts";

interface FirehoseFormat extends StreamHead {
  encode(event: FirehoseEvent): string;
}

/** A message with its channel, or `{"loss": …}`, as one line. */
function jsonOf(event: FirehoseEvent): string {
  if (event.kind === "loss") return JSON.stringify({ loss: { code: "L11", lost: event.lost } });
  return jsonLine({ channel: event.channel, ...messageToJson(event.message) });
}

const NDJSON: FirehoseFormat = {
  contentType: "application/x-ndjson",
  preamble: "",
  keepAlive: "\n",
  encode: (event) => `${jsonOf(event)}\n`,
};

const SSE: FirehoseFormat = {
  contentType: "text/event-stream",
  preamble: "retry: 1000\n\n",
  keepAlive: ": hb\n\n",
  encode: (event) => `${event.kind === "loss" ? "event: loss\n" : ""}data: ${jsonOf(event)}\n\n`,
};

/**
 * Writes what a reader gets to an HTTP response, as server-sent events when they are accepted, else
 * as NDJSON. Resolves when either of them has ended.
 */
export async function serveFirehose(
  reader: FirehoseReader,
  request: IncomingMessage,
  response: ServerResponse,
  context: {
    readonly clock: Clock;
    readonly keepAliveMs: number;
    readonly headers: Readonly<Record<string, string>>;
  },
): Promise<void> {
  const format = request.headers.accept?.includes("text/event-stream") === true ? SSE : NDJSON;
  const sink = responseSink(response, format);
  sink.onGone(() => reader.close());
  sink.begin(context.headers);
  const stop = beatWhileOpen(sink, context.clock, context.keepAliveMs);
  try {
    while (!reader.closed) {
      const events = reader.take();
      if (events.length === 0) await reader.ready();
      else if (!sink.write(events.map(format.encode))) await sink.ready(reader.signal);
    }
  } finally {
    stop();
    reader.close();
    sink.end();
  }
}
