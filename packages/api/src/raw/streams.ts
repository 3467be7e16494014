import { ApiError } from "../errors.ts";
import type { RawCall, RawRoute } from "./raw-route.ts";
import { badSignature } from "./uploads.ts";

const heartbeatMs = 15_000;

async function readStream({ platform, url, params, request }: RawCall): Promise<Response> {
  const id = params["id"] ?? "";
  if (!platform.secrets.verify(`stream:${id}`, url.searchParams.get("signature") ?? ""))
    throw badSignature();
  if (!platform.outputs.exists(id))
    throw new ApiError("not-found", "Nothing was printed to this stream yet.", {
      resource: "stream",
    });
  const events = /text\/event-stream/.test(request.headers.get("accept") ?? "");
  const resume = request.headers.get("last-event-id") ?? "";
  const from = events && /^\d{1,15}$/.test(resume) ? Number(resume) : 0;
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, request.signal, platform.closing.signal]);
  const chunks = platform.outputs.read(id, from, signal);
  const source = events ? toEvents(chunks, from) : chunks;
  let beat: unknown;
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        if (!events) return;
        const again = () => {
          controller.enqueue(Buffer.from(": keep-alive\n\n"));
          beat = platform.clock.setTimeout(again, heartbeatMs);
        };
        beat = platform.clock.setTimeout(again, heartbeatMs);
      },
      async pull(controller) {
        const { done, value } = await source.next();
        if (!done) return controller.enqueue(value);
        platform.clock.clearTimeout(beat);
        controller.close();
      },
      async cancel() {
        platform.clock.clearTimeout(beat);
        gone.abort();
        await source.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, {
    headers: {
      "Content-Type": events ? "text/event-stream" : "text/plain; charset=utf-8",
      "Cache-Control": "no-cache, no-store",
      "X-Accel-Buffering": "no",
    },
  });
}

/** Whole lines as events whose id is the offset after them, for `Last-Event-ID`. */
async function* toEvents(chunks: AsyncIterable<Buffer>, from: number): AsyncGenerator<Buffer> {
  let offset = from;
  let rest = Buffer.alloc(0);
  const event = (bytes: Buffer) => {
    offset += bytes.length;
    const lines = bytes
      .toString("utf8")
      .replace(/\n$/, "")
      .split(/\r\n|\r|\n/);
    return Buffer.from(`id: ${offset}\n${lines.map((line) => `data: ${line}\n`).join("")}\n`);
  };
  for await (const chunk of chunks) {
    const bytes = Buffer.concat([rest, chunk]);
    const end = bytes.lastIndexOf(0x0a) + 1;
    rest = bytes.subarray(end);
    if (end > 0) yield event(bytes.subarray(0, end));
  }
  if (rest.length > 0) yield event(rest);
}

export const streamRoutes: readonly RawRoute[] = [
  {
    method: "GET",
    path: "/streams/{id}",
    summary:
      "What a build or a release command prints, from its beginning, until it ends: text, or events when asked for.",
    types: ["text/plain", "text/event-stream"],
    handler: readStream,
  },
];
