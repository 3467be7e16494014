import { setTimeout as delay } from "node:timers/promises";
import { CliError } from "../errors.ts";
import { unreachable } from "./client.ts";
import { request } from "./request.ts";

export interface ServerEvent {
  readonly id?: string;
  readonly type: string;
  readonly data: string;
}

/** Splits the text of an event stream; a block ends with a blank line (WHATWG HTML §9.2.6). */
export async function* parseEvents(chunks: AsyncIterable<string>): AsyncGenerator<ServerEvent> {
  let rest = "";
  for await (const chunk of chunks) {
    const blocks = (rest + chunk).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = { id: undefined as string | undefined, type: "message", data: [] as string[] };
      for (const line of block.split("\n")) {
        const match = /^(id|event|data): ?(.*)$/.exec(line);
        if (match?.[1] === "id") fields.id = match[2] as string;
        else if (match?.[1] === "event") fields.type = match[2] as string;
        else if (match?.[1] === "data") fields.data.push(match[2] as string);
      }
      // A comment is a sign of life and nothing more.
      if (fields.data.length > 0)
        yield {
          ...(fields.id === undefined ? {} : { id: fields.id }),
          type: fields.type,
          data: fields.data.join("\n"),
        };
    }
  }
}

export interface ReadEventsOptions {
  /** Connect again after a lost connection, from the last event on. */
  readonly resume: boolean;
  readonly signal: AbortSignal;
  /** PEM of an authority to trust beside Node's own. */
  readonly authority?: string | undefined;
  /** Sent with every request; for streams that are no capability URLs. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Events of a URL; ends with the stream, or never when it is to be resumed. */
export async function* readEvents(
  url: string,
  options: ReadEventsOptions,
): AsyncGenerator<ServerEvent> {
  let last: string | undefined;
  for (let failures = 0; ; ) {
    try {
      const response = await request(new URL(url), {
        authority: options.authority,
        headers: {
          ...options.headers,
          accept: "text/event-stream",
          ...(last === undefined ? {} : { "last-event-id": last }),
        },
        signal: options.signal,
      });
      if (!response.ok)
        throw new CliError(
          "failed",
          `The stream is gone (${response.status}). Run the command again.`,
        );
      failures = 0;
      for await (const event of parseEvents(decode(response))) {
        last = event.id ?? last;
        yield event;
      }
      if (!options.resume) return;
    } catch (error) {
      if (options.signal.aborted) return;
      if (CliError.is(error)) throw error;
      if (!options.resume || failures >= 8) throw unreachable(new URL(url).origin, error);
    }
    failures += 1;
    const waitMs = Math.min(250 * 2 ** failures, 10_000);
    await delay(waitMs, undefined, { signal: options.signal }).catch(() => undefined);
    if (options.signal.aborted) return;
  }
}

async function* decode(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? [])
    yield decoder.decode(chunk as Uint8Array, { stream: true });
}
