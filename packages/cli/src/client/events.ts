import { CliError } from "../errors.ts";

export interface ServerEvent {
  readonly id?: string;
  readonly type: string;
  readonly data: string;
}

/** Splits the text of an event stream; a block ends with a blank line (WHATWG HTML §9.2.6). */
export async function* parseEvents(chunks: AsyncIterable<string>): AsyncGenerator<ServerEvent> {
  let rest = "";
  for await (const chunk of chunks) {
    const blocks = (rest + chunk).split("\n\n");
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
}

/** Events of a capability URL; ends with the stream, or never when it is to be resumed. */
export async function* readEvents(
  url: string,
  options: ReadEventsOptions,
): AsyncGenerator<ServerEvent> {
  let last: string | undefined;
  for (let failures = 0; ; ) {
    try {
      const response = await fetch(url, {
        headers: {
          accept: "text/event-stream",
          ...(last === undefined ? {} : { "last-event-id": last }),
        },
        signal: options.signal,
      });
      if (!response.ok)
        throw new CliError(
          "failed",
          `The log stream is gone (${response.status}). Run the command again.`,
        );
      failures = 0;
      for await (const event of parseEvents(decode(response))) {
        last = event.id ?? last;
        yield event;
      }
      if (!options.resume) return;
    } catch (error) {
      if (options.signal.aborted) return;
      if (CliError.is(error) || !options.resume || failures >= 8) throw error;
    }
    failures += 1;
    await new Promise((resolve) => setTimeout(resolve, Math.min(250 * 2 ** failures, 10_000)));
  }
}

async function* decode(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? [])
    yield decoder.decode(chunk as Uint8Array, { stream: true });
}
