import { get, request as httpRequest, type IncomingMessage } from "node:http";
import { get as httpsGet, request as httpsRequest } from "node:https";
import { LogplexError } from "../errors.ts";
import { localTime } from "../frame/display.ts";
import { parseTimestamp } from "../frame/timestamp.ts";
import type { CommandContext } from "./run.ts";

/** Options of `logplex tail` and `logplex query`. */
export interface ReadOptions {
  readonly channel: string;
  readonly query: string;
  readonly tail: boolean;
  readonly url?: string | undefined;
  readonly lines?: string | undefined;
  readonly source?: string | undefined;
  readonly dyno?: string | undefined;
  /** ms. */
  readonly sort?: string | undefined;
  readonly local?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly raw?: boolean | undefined;
}

const RETRY_MS = 1000;

/** Opens a session and prints it; a tail that breaks is resumed exactly where it was. */
export async function read(options: ReadOptions, context: CommandContext): Promise<number> {
  const base = serverOf(options, context);
  const path = await createSession(base, options);
  const controller = new AbortController();
  context.onSignal(() => controller.abort());
  let after: string | undefined;
  for (;;) {
    const response = await open(base, path, options, after, controller.signal);
    if (response === undefined) {
      if (controller.signal.aborted) return 0;
      await pause(RETRY_MS, controller.signal);
      continue;
    }
    if (response.statusCode !== 200) {
      response.resume();
      context.error(
        `The server ended the session (${response.statusCode}); run the command again.\n`,
      );
      return 1;
    }
    for await (const event of lines(response)) {
      if (options.json === true) {
        context.out(`${event}\n`);
        after = /"seq":([1-9]\d*)/.exec(event)?.[1] ?? after;
      } else if (event.startsWith("data: {") && event.includes('"lost":')) {
        // The notice that follows says the same for people.
      } else if (event.startsWith("data: ")) {
        const line = event.slice(6);
        if (options.raw === true) context.out(Buffer.from(line, "base64"));
        else context.out(`${options.local === true ? inLocalTime(line) : line}\n`);
      } else if (event.startsWith("id: ")) after = event.slice(4);
    }
    if (!options.tail || controller.signal.aborted) return 0;
    await pause(RETRY_MS, controller.signal);
  }
}

/** Prints what matches as octet-counted frames. */
export async function readFrames(options: ReadOptions, context: CommandContext): Promise<number> {
  const base = serverOf(options, context);
  const url = new URL(`/v3/channels/${encodeURIComponent(options.channel)}/logs`, base);
  url.username = "";
  url.password = "";
  const { query, lines = "100", source, dyno } = options;
  for (const [name, value] of Object.entries({ query, num: lines, source, dyno }))
    if (value !== undefined) url.searchParams.set(name, value);
  const headers = { Authorization: authorizationOf(base) };
  const response = await fetch(url, { headers }).catch((cause: unknown) => {
    throw unreachable(base, cause);
  });
  const body = Buffer.from(await response.arrayBuffer());
  if (response.status !== 200)
    throw new LogplexError(
      "bad-request",
      `The server refused the query (${response.status}): ${errorOf(body.toString())}`,
    );
  context.out(body);
  return 0;
}

function serverOf(options: ReadOptions, context: CommandContext): URL {
  const server = options.url ?? context.env["LOGPLEX_URL"];
  if (server === undefined || !URL.canParse(server))
    throw new LogplexError(
      "bad-request",
      "There is no server; give --url http://id:password@host:port or set LOGPLEX_URL.",
    );
  return new URL(server);
}

function authorizationOf({ username, password }: URL): string {
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}

function unreachable(base: URL, cause: unknown): LogplexError {
  return new LogplexError(
    "unavailable",
    `The server at ${base.host} can't be reached; check --url.`,
    { cause },
  );
}

/** A display line with its time in the zone of this process. */
function inLocalTime(line: string): string {
  const end = line.indexOf(" ");
  const micros = parseTimestamp(Buffer.from(line), 0, end);
  return Number.isNaN(micros) ? line : localTime(micros) + line.slice(end);
}

async function createSession(base: URL, options: ReadOptions): Promise<string> {
  const body = JSON.stringify({
    channel_id: options.channel,
    num: options.lines ?? "100",
    tail: options.tail,
    source: options.source,
    dyno: options.dyno,
    query: options.query,
    ...(options.sort === undefined ? {} : { sort: Number(options.sort) }),
  });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const send = base.protocol === "https:" ? httpsRequest : httpRequest;
    send(
      new URL("/v3/sessions", base),
      {
        method: "POST",
        auth: "",
        headers: { Authorization: authorizationOf(base), "Content-Type": "application/json" },
      },
      resolve,
    )
      .on("error", (cause) => reject(unreachable(base, cause)))
      .end(body);
  });
  const text = await new Response(response as unknown as ReadableStream).text();
  if (response.statusCode !== 201)
    throw new LogplexError(
      "bad-request",
      `The server refused the session (${response.statusCode}): ${errorOf(text)}`,
    );
  const location = response.headers.location ?? "";
  return options.tail ? `${location.split("?")[0]}?tail=true` : location;
}

function errorOf(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    if (typeof error === "string") return error;
  } catch {
    // Not of our server.
  }
  return "check the URL and that the server has its management API on.";
}

function open(
  base: URL,
  path: string,
  options: ReadOptions,
  after: string | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage | undefined> {
  return new Promise((resolve) => {
    const url = new URL(path, `${base.protocol}//${base.host}`);
    const send = base.protocol === "https:" ? httpsGet : get;
    send(
      url,
      {
        signal,
        headers: {
          Accept: acceptOf(options),
          ...(after === undefined ? {} : { "Last-Event-ID": after }),
        },
      },
      resolve,
    ).on("error", () => resolve(undefined));
  });
}

function acceptOf({ json, raw }: ReadOptions): string {
  if (json === true) return "application/x-ndjson";
  return raw === true ? "text/event-stream, application/logplex-1" : "text/event-stream";
}

/** Lines of a response until it ends or breaks. */
async function* lines(response: IncomingMessage): AsyncGenerator<string> {
  let rest = "";
  try {
    for await (const chunk of response.setEncoding("utf8")) {
      const parts = (rest + String(chunk)).split("\n");
      rest = parts.pop() ?? "";
      for (const part of parts) if (part !== "") yield part;
    }
  } catch {
    // Broken off: the caller resumes.
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, signal.aborted ? 0 : ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
