import { type AccessRecord, formatJson, formatLine, redactQuery } from "../access-log/line.ts";
import type { LogWriter } from "../access-log/writer.ts";
import { F } from "../codec/field-names.ts";
import type { Head } from "../codec/head.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { Phase } from "./exchange/attempt-record.ts";
import type { Exchange } from "./exchange/exchange.ts";
import type { EndedRequest } from "./observer.ts";
import { parseTraceparent } from "./trace-context.ts";

/** One line per request, and one when a tunnel opens (spec/router.md §24). */
export class AccessLog {
  readonly #options: EngineOptions;
  readonly #writer: LogWriter | null;
  readonly #random: () => number;

  constructor(options: EngineOptions, writer: LogWriter | null, random: () => number) {
    this.#options = options;
    this.#writer = writer;
    this.#random = random;
  }

  /**
   * Writes the line of an exchange that is over, or with `opening` of its tunnel.
   *
   * @param phase - The one in which it ended.
   * @param end - Monotonic ms up to which its time counts.
   */
  write(exchange: Exchange, phase: Phase, end: number, opening: boolean): EndedRequest {
    const { failure, meaning, head, client, identity } = exchange;
    const status =
      exchange.ownStatus !== 0
        ? exchange.ownStatus
        : failure !== null
          ? failure.status
          : exchange.sent;
    const code = failure?.code ?? null;
    const serviceMs =
      exchange.sentHeadAt === 0 ? -1 : Math.max(0, Math.round(end - exchange.sentHeadAt));
    const record: EndedRequest = {
      app: exchange.app?.id ?? "",
      phase,
      at: failure?.at ?? "info",
      code,
      desc:
        failure === null
          ? null
          : code === "H25" && exchange.cause !== null
            ? `${failure.desc}: ${exchange.cause}`
            : failure.desc,
      method: head === null ? "" : (meaning?.method ?? head.method),
      path: head === null ? "" : meaning === null ? head.target : meaning.target,
      host: head === null ? "" : (meaning?.host ?? head.get(F.host) ?? ""),
      requestId: identity.requestId,
      fwd: identity.forwardedFor,
      dyno: exchange.backend?.dyno ?? "",
      connectMs: exchange.connectMs,
      serviceMs,
      status,
      bytes: exchange.bytes,
      protocol: client.protocol,
      tlsVersion: client.peer.tlsVersion,
      sock: failure?.sock ?? null,
      cause: failure === null && exchange.ownStatus === 0 ? null : exchange.cause,
      agent: code === "H31" || code === "H32" ? (head?.get(F.userAgent) ?? null) : null,
      extra: this.#extra(exchange, phase, status, opening),
    };
    if (this.#writer !== null)
      this.#writeLine(this.#writer, exchange.app?.id ?? this.#options.channel, record);
    return record;
  }

  /** The keys that Heroku's line does not have, each with a space before. */
  #extra(exchange: Exchange, phase: Phase, status: number, opening: boolean): string {
    const { failure } = exchange;
    const { extraLogKeys } = this.#options;
    let extra = "";
    if (failure !== null) {
      if (exchange.sent !== 0 && exchange.sent !== status) extra += ` sent=${exchange.sent}`;
      if (failure.code !== "H26") extra += ` phase=${phase}`;
    }
    if (exchange.queueMs > 0) extra += ` queue=${exchange.queueMs}ms`;
    if (exchange.attempts.length > 1) extra += attemptKeys(exchange);
    if (extraLogKeys) extra += ` reused=${exchange.reused}`;
    if (exchange.affinity === "miss") extra += " affinity=miss";
    if (exchange.upgraded !== null) {
      extra += ` upgrade=${exchange.upgraded.replaceAll(/[^\x21\x23-\x5b\x5d-\x7e]/g, "_")}`;
      if (!opening && exchange.closeCode > 0) extra += ` close=${exchange.closeCode}`;
      if (!opening) extra += ` rx=${exchange.received}`;
    }
    if (extraLogKeys) extra += placeKeys(exchange);
    if (exchange.lint !== null) extra += ` lint=${exchange.lint}`;
    if (exchange.rule !== null) extra += ` rule=${exchange.rule}`;
    if (this.#options.log.traceIds) {
      const trace = traceId(exchange.head);
      if (trace !== null) extra += ` trace_id=${trace}`;
    }
    return extra;
  }

  #writeLine(writer: LogWriter, channel: string, record: AccessRecord): void {
    const { format, redactQuery: redact, sampleSuccess } = this.#options.log;
    const { status } = record;
    if (sampleSuccess < 1 && record.code === null && status >= 200 && status < 300)
      if (this.#random() >= sampleSuccess) return;
    const shown =
      redact === "none" ? record : { ...record, path: redactQuery(record.path, redact) };
    writer.write(channel, format === "json" ? formatJson(shown) : formatLine(shown));
  }
}

/** How many dynos were tried, and how those failed that did. */
function attemptKeys({ attempts }: Exchange): string {
  const tried = attempts
    .filter((attempt) => attempt.outcome !== "101" && !/^[1-5]/.test(attempt.outcome))
    .map((attempt) => `${attempt.dyno}:${attempt.outcome}`);
  const list = tried.length > 0 ? ` tried=${tried.join(",")}` : "";
  return ` attempts=${attempts.length}${list}`;
}

/** What was served, and where it came in. */
function placeKeys({ app, backend, client }: Exchange): string {
  const release = backend?.release === undefined ? "" : ` release=v${backend.release.version}`;
  const stream = client.streamId > 0 ? ` stream=${client.streamId}` : "";
  return ` app=${app?.id ?? ""}${release} listener=${client.peer.listener}${stream}`;
}

function traceId(head: Head | null): string | null {
  const parent = head?.get(F.traceparent);
  return parent === undefined ? null : (parseTraceparent(parent)?.traceId ?? null);
}
