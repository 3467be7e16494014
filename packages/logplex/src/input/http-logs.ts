import type { IncomingMessage, ServerResponse } from "node:http";
import type { Channel } from "../channel/channel.ts";
import type { FrameFault } from "../frame/fault.ts";
import { escapeOctets } from "../frame/fault.ts";
import { FrameParser, type Framing } from "../frame/frame-parser.ts";
import type { InputDialect } from "../frame/syslog-parser.ts";
import { authenticate, type Caller } from "./authorization.ts";
import { BatchOrder, type Turn } from "./batch-order.ts";
import { type BodyLimits, readBody } from "./body.ts";
import { ConnectionsPerToken } from "./connections-per-token.ts";
import { FrameIngest } from "./frame-ingest.ts";
import { destinationOf, type Ingress, resolver } from "./ingress.ts";
import { appendRecords } from "./record-ingest.ts";
import {
  decodeNdjson,
  decodeOtlp,
  decodeOtlpProtobuf,
  decodeText,
  type RecordResult,
} from "./records.ts";
import { sendError, sendJson } from "./reply.ts";

/** Options of the HTTP log input. */
export interface HttpLogsOptions {
  /** Default `auto`. */
  readonly dialect?: InputDialect | undefined;
  /** Default `octet`. */
  readonly framing?: Framing | undefined;
  /** Default 10,240 octets, at most 1 MiB. */
  readonly maxFrameBytes?: number | undefined;
  /** Default `reject`. */
  readonly oversize?: "reject" | "truncate" | undefined;
  /** Default 8 MiB, 100 to 1, 15 s. */
  readonly body?: Partial<BodyLimits> | undefined;
  /** Open connections of one token or credential; default 256. A further one is answered 429. */
  readonly maxConnectionsPerToken?: number | undefined;
}

type MediaType = "logplex" | "ndjson" | "text" | "otlp" | "otlp-protobuf";

const MEDIA_TYPES: Readonly<Record<string, MediaType>> = {
  "application/logplex-1": "logplex",
  "application/x-logplex-1": "logplex",
  "application/x-ndjson": "ndjson",
  "application/ndjson": "ndjson",
  "text/plain": "text",
  "application/json": "otlp",
  "application/x-protobuf": "otlp-protobuf",
};

const DEFAULT_BODY: BodyLimits = { maxBytes: 8 * 1024 * 1024, maxRatio: 100, idleMs: 15_000 };

interface Outcome {
  readonly accepted: number;
  readonly rejected: number;
  readonly touched: readonly Channel[];
}

const idOf = (caller: Caller) => (caller.kind === "token" ? caller.token.id : caller.id);

/** `POST /logs` and `POST /v1/logs` (spec/logplex.md §5.1). */
export class HttpLogs {
  readonly #ingress: Ingress;
  readonly #options: HttpLogsOptions;
  readonly #limits: BodyLimits;
  readonly #order: BatchOrder;
  readonly #connections: ConnectionsPerToken;

  constructor(ingress: Ingress, options: HttpLogsOptions) {
    this.#ingress = ingress;
    this.#options = options;
    this.#limits = { ...DEFAULT_BODY, ...options.body };
    this.#order = new BatchOrder(ingress.clock);
    this.#connections = new ConnectionsPerToken(options.maxConnectionsPerToken ?? 256);
  }

  /** Lets batches go that wait for others. */
  close(): void {
    this.#order.close();
  }

  /** Answers one request. The order of the checks is that of Logplex. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { switches, tokens, credentials, counters } = this.#ingress;
    if (!switches.ingress) {
      sendError(response, 503, "ingress_off", "This router takes no logs now; try again later.", {
        "Retry-After": "30",
      });
      return;
    }
    if (request.method !== "POST") {
      sendError(response, 405, "method_not_allowed", "Use POST to send logs.", { Allow: "POST" });
      return;
    }
    const caller = authenticate(request.headers.authorization, tokens, credentials);
    if (caller === undefined) {
      counters.rejected.unauthorized += 1;
      sendError(response, 401, "unauthorized", "Send Basic token:t.<uuid> or Bearer t.<uuid>.", {
        "WWW-Authenticate": "Basic realm=Logplex",
      });
      return;
    }
    if (!this.#connections.admit(request.socket, idOf(caller))) {
      counters.rejected.budget += 1;
      sendError(response, 429, "too_many_connections", "Use fewer connections for this token.", {
        "Retry-After": "1",
        Connection: "close",
      });
      return;
    }
    const type = MEDIA_TYPES[mediaType(request)];
    if (caller.kind === "credential" && !caller.permissions.has("any_channel")) {
      sendError(response, 403, "forbidden", "This credential lacks the permission any_channel.");
      return;
    }
    const otlp = type === "otlp" || type === "otlp-protobuf";
    if (type === undefined || (otlp && !isOtlpPath(request))) {
      sendError(
        response,
        415,
        "unsupported_media_type",
        "Send application/logplex-1, application/x-ndjson, text/plain, or OTLP as JSON or protobuf to /v1/logs.",
      );
      return;
    }
    if (type !== "logplex" && caller.kind === "credential") {
      sendError(
        response,
        403,
        "forbidden",
        "Only application/logplex-1 names a channel per message; use a token for other types.",
      );
      return;
    }
    const body = await readBody(request, this.#limits, this.#ingress.clock);
    if (!Buffer.isBuffer(body)) {
      if (body.status === 413) counters.rejected.too_large += 1;
      sendError(response, body.status, body.id, body.message);
      return;
    }
    await this.#accept(caller, type, body, request, response);
  }

  async #accept(
    caller: Caller,
    type: MediaType,
    body: Buffer,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { frameIds, counters } = this.#ingress;
    const writer = idOf(caller);
    const given = header(request, "logplex-frame-id") ?? idOfShuttle(request);
    const frameId = given !== undefined && given.length <= 128 ? given : undefined;
    if (frameId !== undefined && frameIds.has(writer, frameId)) {
      counters.rejected.duplicate += 1;
      response.writeHead(204, { "Logplex-Duplicate": "1" }).end();
      return;
    }
    const announced = header(request, "logplex-msg-count");
    if (announced !== undefined && !/^\d{1,9}$/.test(announced)) {
      sendError(response, 400, "bad_request", "Logplex-Msg-Count must be a number.", {
        code: "bad_count",
      });
      return;
    }
    const expected = announced === undefined ? undefined : Number(announced);
    const place = header(request, "logplex-batch-seq");
    const [, connection, number] = /^([\w-]{1,64})\.(\d{1,15})$/.exec(place ?? "") ?? [];
    if (place !== undefined && connection === undefined) {
      sendError(response, 400, "bad_request", "Logplex-Batch-Seq must be <connection>.<number>.", {
        code: "bad_batch_seq",
      });
      return;
    }
    let turn: Turn | undefined;
    if (connection !== undefined) {
      turn = await this.#order.enter(`${writer}\0${connection}`, Number(number));
      if (turn === undefined) {
        counters.rejected.duplicate += 1;
        response.writeHead(204, { "Logplex-Duplicate": "1" }).end();
        return;
      }
    }
    try {
      await this.#store({ caller, type, body, expected, frameId, writer, turn }, request, response);
    } finally {
      turn?.end();
    }
  }

  async #store(
    batch: {
      readonly caller: Caller;
      readonly type: MediaType;
      readonly body: Buffer;
      readonly expected: number | undefined;
      readonly frameId: string | undefined;
      readonly writer: string;
      readonly turn: Turn | undefined;
    },
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { caller, type, body, expected, frameId, writer, turn } = batch;
    const { frameIds, counters } = this.#ingress;
    if (frameId !== undefined && !(await this.#claim(writer, frameId, response))) return;
    // Looked at right before storing: many that wake at once must see what the first ones stored.
    for (;;) {
      const relief = caller.kind === "token" ? this.#relief(caller.token.channel) : undefined;
      if (relief === undefined) break;
      await relief;
    }
    // Another request with the same id may have been stored while this one waited.
    if (frameId !== undefined && frameIds.has(writer, frameId)) {
      counters.rejected.duplicate += 1;
      response.writeHead(204, { "Logplex-Duplicate": "1" }).end();
      return;
    }
    const outcome =
      type === "logplex"
        ? this.#frames(caller, body, expected, response)
        : this.#records(caller, type, body, expected, request, response);
    if (outcome === undefined) {
      if (frameId !== undefined) await frameIds.release(writer, frameId).catch(() => undefined);
      return;
    }
    // Before anything is awaited, so that a repeat meanwhile is recognised.
    if (frameId !== undefined) frameIds.add(writer, frameId);
    // The next batch need not wait for the disk.
    turn?.stored();
    turn?.end();
    this.#producerLoss(request, outcome.touched);
    try {
      await this.#ingress.durable(outcome.touched);
    } catch {
      // Without the id in the books the sender may try again.
      if (frameId !== undefined) {
        frameIds.delete(writer, frameId);
        await frameIds.release(writer, frameId).catch(() => undefined);
      }
      sendError(response, 503, "storage_failed", "The logs could not be made durable; try again.", {
        "Retry-After": "5",
      });
      return;
    }
    // Frames of a credential name their channels only when they are read: the answer waits instead.
    if (caller.kind === "credential") await this.#ingress.pressure(outcome.touched);
    const headers =
      outcome.rejected > 0 ? { "Logplex-Rejected-Count": String(outcome.rejected) } : {};
    if (type === "otlp") sendJson(response, 200, {}, headers);
    // An empty message says that everything was taken.
    else if (type === "otlp-protobuf")
      response.writeHead(200, { "Content-Type": "application/x-protobuf", ...headers }).end();
    else response.writeHead(204, headers).end();
  }

  /** Settles when a drain of the channel that may lose nothing has room again; undefined: it has. */
  #relief(id: string): Promise<void> | undefined {
    return this.#ingress.pressure([this.#ingress.channel(id)]);
  }

  /** False: the request was answered, since another process has the frame or none can be asked. */
  async #claim(writer: string, frameId: string, response: ServerResponse): Promise<boolean> {
    const { frameIds, counters } = this.#ingress;
    let mine: boolean;
    try {
      mine = (await frameIds.claim(writer, frameId)) ?? true;
    } catch {
      // Whether it came before can't be known now: the sender has it and may try again.
      sendError(response, 503, "storage_failed", "The frame id could not be checked; try again.", {
        "Retry-After": "5",
      });
      return false;
    }
    if (mine) return true;
    counters.rejected.duplicate += 1;
    response.writeHead(204, { "Logplex-Duplicate": "1" }).end();
    return false;
  }

  /** Undefined: the request was answered and nothing was stored. */
  #frames(
    caller: Caller,
    body: Buffer,
    expected: number | undefined,
    response: ServerResponse,
  ): Outcome | undefined {
    const { counters, clock, tokens } = this.#ingress;
    const frames: { buffer: Buffer; start: number; end: number; truncated: boolean }[] = [];
    let fault: FrameFault | undefined;
    const parser = new FrameParser({
      mode: "atomic",
      framing: this.#options.framing,
      maxFrameBytes: this.#options.maxFrameBytes,
      oversize: this.#options.oversize,
      onFrame: (buffer, start, end, truncated) => {
        // Only a truncated frame lies in a buffer that the parser uses again.
        if (buffer === body) frames.push({ buffer, start, end, truncated });
        else {
          const copy = Buffer.from(buffer.subarray(start, end));
          frames.push({ buffer: copy, start: 0, end: copy.length, truncated });
        }
      },
      onFault: (found) => {
        fault = found;
      },
    });
    parser.push(body);
    parser.end();
    if (fault !== undefined) {
      counters.rejected.malformed += 1;
      const { code, offset, frame, message } = fault;
      sendError(response, 400, "malformed_frames", `Malformed log messages: ${message}`, {
        code,
        offset,
        frame,
        context: escapeOctets(body.subarray(offset, offset + 64)),
      });
      return undefined;
    }
    if (!this.#countAndBudget(caller, frames.length, body.length, expected, response))
      return undefined;
    const ingest = new FrameIngest({
      dialect: this.#options.dialect,
      bound: caller.kind === "token" ? destinationOf(this.#ingress, caller.token) : undefined,
      resolve: resolver(this.#ingress),
      onAccepted: (channel, messages, bytes) =>
        counters.accept("http", channel.class, messages, bytes),
    });
    const receivedAt = clock.now() * 1000;
    ingest.begin(body, receivedAt, tokens.version);
    for (const { buffer, start, end, truncated } of frames)
      ingest.frame(buffer, start, end, truncated);
    const touched = ingest.flush();
    counters.rejected.unknown_token += ingest.rejected;
    return { accepted: ingest.accepted, rejected: ingest.rejected, touched };
  }

  #records(
    caller: Caller,
    type: Exclude<MediaType, "logplex">,
    body: Buffer,
    expected: number | undefined,
    request: IncomingMessage,
    response: ServerResponse,
  ): Outcome | undefined {
    if (caller.kind !== "token") return undefined;
    const { searchParams } = new URL(request.url ?? "/", "http://logplex");
    let result: RecordResult;
    if (type === "ndjson") result = decodeNdjson(body);
    else if (type === "otlp") result = decodeOtlp(body);
    else if (type === "otlp-protobuf") result = decodeOtlpProtobuf(body);
    else result = decodeText(body, searchParams.get("procid") ?? undefined);
    if (!result.ok) {
      const { code, offset, frame, message } = result.fault;
      this.#ingress.counters.rejected.malformed += 1;
      sendError(response, 400, "malformed_body", message, { code, offset, frame });
      return undefined;
    }
    const { records } = result;
    if (!this.#countAndBudget(caller, records.length, body.length, expected, response))
      return undefined;
    const destination = destinationOf(this.#ingress, caller.token);
    const bytes = appendRecords(destination, records, this.#ingress.clock.now() * 1000);
    this.#ingress.counters.accept("http", destination.channel.class, records.length, bytes);
    return { accepted: records.length, rejected: 0, touched: [destination.channel] };
  }

  /** False: the request was answered. */
  #countAndBudget(
    caller: Caller,
    count: number,
    bytes: number,
    expected: number | undefined,
    response: ServerResponse,
  ): boolean {
    if (expected !== undefined && expected !== count) {
      this.#ingress.counters.rejected.malformed += 1;
      const message = `Message count mismatch: Logplex-Msg-Count says ${expected}, the body holds ${count}.`;
      sendError(response, 400, "count_mismatch", message, { code: "count_mismatch" });
      return false;
    }
    const writer = caller.kind === "token" ? caller.token.id : `credential ${caller.id}`;
    const waitMs = this.#ingress.budgets.of(writer)?.take(count, bytes) ?? 0;
    if (waitMs === 0) return true;
    this.#ingress.counters.rejected.budget += count;
    if (caller.kind === "token")
      this.#ingress.channel(caller.token.channel).rejected(count, "rate limit");
    sendError(
      response,
      429,
      "over_budget",
      "More comes in than the budget of this token or of the router; slow down.",
      {
        "Retry-After": String(Math.ceil(waitMs / 1000)),
      },
    );
    return false;
  }

  /** What the shuttle says it lost goes to the books of the channel. */
  #producerLoss(request: IncomingMessage, touched: readonly Channel[]): void {
    const channel = touched[0];
    if (channel === undefined) return;
    for (const [name, cause] of [
      ["logplex-drop-count", "dropped"],
      ["logplex-lost-count", "lost"],
    ] as const) {
      const value = header(request, name);
      if (value !== undefined && /^\d{1,9}$/.test(value) && Number(value) > 0)
        channel.producerLost(cause, Number(value));
    }
  }
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" && value !== "" ? value.trim() : undefined;
}

/**
 * log-shuttle names a batch with `X-Request-Id` and keeps the name when it sends the batch again. From
 * others that header names one try.
 */
function idOfShuttle(request: IncomingMessage): string | undefined {
  const isShuttle = header(request, "user-agent")?.startsWith("log-shuttle/") === true;
  return isShuttle ? header(request, "x-request-id") : undefined;
}

function mediaType(request: IncomingMessage): string {
  return (request.headers["content-type"] ?? "").split(";", 1)[0]!.trim().toLowerCase();
}

function isOtlpPath(request: IncomingMessage): boolean {
  return (request.url ?? "").split("?", 1)[0] === "/v1/logs";
}
