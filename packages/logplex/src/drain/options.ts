import { validateHeaderName, validateHeaderValue } from "node:http";
import { z } from "zod";
import { LogplexError } from "../errors.ts";
import { compileQuery, type Query } from "../query/index.ts";
import type { DrainTls } from "./transport/tls.ts";
import type { DrainKind } from "./url.ts";

/** Form of the messages on the wire (spec/logplex.md §4.4, §9.1). */
export type DrainDialect = "logplex" | "rfc5424" | "ndjson" | "otlp" | "loki";

/** Options of one drain (spec/logplex.md §9.1). */
export interface DrainOptions {
  /** LQ text; messages that do not match count as filtered. Default: everything. */
  readonly filter?: string | undefined;
  /** Default by the scheme: `logplex` for https, `rfc5424` for syslog, `ndjson` for file. */
  readonly dialect?: DrainDialect | undefined;
  /** Headers to add to HTTP requests, at most 32. Their values are secrets. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Form of OTLP; default `json`. */
  readonly encoding?: "json" | "protobuf" | undefined;
  /** Compress HTTP bodies; default false. */
  readonly gzip?: boolean | undefined;
  /** Send `Content-MD5` of the body as sent (spec/logplex.md §9.2). Default false. */
  readonly contentMd5?: boolean | undefined;
  readonly batch?:
    | {
        /** First target of a batch, bytes; default 256 KiB. */
        readonly bytes?: number | undefined;
        /** Target that a backlog lets batches grow to, bytes; default 1 MiB. */
        readonly maxBytes?: number | undefined;
        /** Default 2,000, growing with the bytes. */
        readonly messages?: number | undefined;
        /** Longest wait for a fuller batch while messages trickle in, ms; default 250. */
        readonly lingerMs?: number | undefined;
      }
    | undefined;
  /** Requests at a time, 1–8; default 1. More than one gives up the order. */
  readonly concurrency?: number | undefined;
  /** LF inside a body: kept, one message per line, or written as `\n`; default `keep`. */
  readonly multiline?: "keep" | "split" | "escape" | undefined;
  /**
   * Order of the messages in a batch by time, as far as they come within so many ms, at most 10,000;
   * each waits for so long. Default 0: the order of the channel.
   */
  readonly sortMs?: number | undefined;
  /** Join the pieces of long lines again, up to 1 MiB; default false. */
  readonly rejoin?: boolean | undefined;
  readonly tls?: DrainTls | undefined;
  /** What happens when the buffer of 8,192 messages or 8 MiB is full; default `dropOldest`. */
  readonly onFull?: "dropOldest" | "spool" | "block" | undefined;
  /** Labels for `loki`, attributes for `otlp`, members for `ndjson`; at most 16. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Options after checking, defaults filled in. */
export interface ParsedDrainOptions {
  readonly query: Query | undefined;
  readonly dialect: DrainDialect;
  readonly headers: Readonly<Record<string, string>>;
  readonly encoding: "json" | "protobuf";
  readonly gzip: boolean;
  readonly contentMd5: boolean;
  readonly batchBytes: number;
  readonly batchMaxBytes: number;
  readonly batchMessages: number;
  readonly lingerMs: number;
  readonly concurrency: number;
  readonly multiline: "keep" | "split" | "escape";
  readonly rejoin: boolean;
  readonly sortMs: number;
  readonly tls: DrainTls | undefined;
  readonly onFull: "dropOldest" | "spool" | "block";
  readonly labels: Readonly<Record<string, string>>;
}

const pem = z.string().max(65_536).startsWith("-----BEGIN ");

const schema = z.strictObject({
  filter: z.string().optional(),
  dialect: z.enum(["logplex", "rfc5424", "ndjson", "otlp", "loki"]).optional(),
  headers: z.record(z.string().max(128), z.string().max(4096)).optional(),
  encoding: z.enum(["json", "protobuf"]).optional(),
  gzip: z.boolean().optional(),
  contentMd5: z.boolean().optional(),
  batch: z
    .strictObject({
      bytes: z.int().min(1024).max(1_048_576).optional(),
      maxBytes: z.int().min(1024).max(4_194_304).optional(),
      messages: z.int().min(1).max(8192).optional(),
      lingerMs: z.int().min(0).max(10_000).optional(),
    })
    .optional(),
  concurrency: z.int().min(1).max(8).optional(),
  multiline: z.enum(["keep", "split", "escape"]).optional(),
  rejoin: z.boolean().optional(),
  sortMs: z.int().min(0).max(10_000).optional(),
  tls: z
    .strictObject({
      ca: pem.optional(),
      clientCert: z.strictObject({ cert: pem, key: pem }).optional(),
      spkiPins: z
        .array(z.string().regex(/^[A-Za-z0-9+/]{43}=$/))
        .max(8)
        .optional(),
    })
    .optional(),
  onFull: z.enum(["dropOldest", "spool", "block"]).optional(),
  labels: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_.]{0,63}$/), z.string().max(1024))
    .optional(),
});

/** Headers that would change how a request is framed or routed (spec/logplex.md §13.1). */
const FORBIDDEN_HEADERS = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "upgrade",
  "te",
  "trailer",
  "expect",
  "proxy-authorization",
  "proxy-connection",
  "content-encoding",
  "content-type",
  "logplex-msg-count",
  "logplex-frame-id",
  "logplex-drain-token",
]);

const DEFAULT_DIALECT: Readonly<Record<DrainKind, DrainDialect>> = {
  https: "logplex",
  syslog: "rfc5424",
  "syslog+tls": "rfc5424",
  udpsyslog: "rfc5424",
  "ndjson+https": "ndjson",
  "otlp+https": "otlp",
  "loki+https": "loki",
  file: "ndjson",
  stdout: "ndjson",
  custom: "ndjson",
};

const ALLOWED_DIALECTS: Readonly<Record<DrainKind, readonly DrainDialect[]>> = {
  https: ["logplex", "rfc5424", "ndjson", "otlp", "loki"],
  syslog: ["logplex", "rfc5424"],
  "syslog+tls": ["logplex", "rfc5424"],
  udpsyslog: ["logplex", "rfc5424"],
  "ndjson+https": ["ndjson"],
  "otlp+https": ["otlp"],
  "loki+https": ["loki"],
  file: ["logplex", "rfc5424", "ndjson"],
  stdout: ["logplex", "rfc5424", "ndjson"],
  custom: ["logplex", "rfc5424", "ndjson", "otlp", "loki"],
};

/** Checks the options of a drain of this kind. Throws `bad-request` or `bad-query`. */
export function parseDrainOptions(options: DrainOptions, kind: DrainKind): ParsedDrainOptions {
  const result = schema.safeParse(options);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw badOption(issue?.path.join(".") ?? "", issue?.message ?? "is invalid");
  }
  const dialect = options.dialect ?? DEFAULT_DIALECT[kind];
  if (!ALLOWED_DIALECTS[kind].includes(dialect)) {
    throw badOption(
      "dialect",
      `"${dialect}" does not go with ${kind}, use ${ALLOWED_DIALECTS[kind].join(" or ")}`,
    );
  }
  if (options.encoding === "protobuf" && dialect !== "otlp")
    throw badOption("encoding", `"protobuf" goes only with the dialect otlp, not ${dialect}`);
  checkHeaders(options.headers ?? {}, kind);
  if (Object.keys(options.labels ?? {}).length > 16) throw badOption("labels", "has more than 16");
  const batchBytes = options.batch?.bytes ?? 256 * 1024;
  return {
    query: parseFilter(options.filter),
    dialect,
    headers: { ...options.headers },
    encoding: options.encoding ?? "json",
    gzip: options.gzip ?? false,
    contentMd5: options.contentMd5 ?? false,
    batchBytes,
    batchMaxBytes: Math.max(batchBytes, options.batch?.maxBytes ?? 1024 * 1024),
    batchMessages: options.batch?.messages ?? 2000,
    lingerMs: options.batch?.lingerMs ?? 250,
    concurrency: options.concurrency ?? 1,
    multiline: options.multiline ?? "keep",
    rejoin: options.rejoin ?? false,
    sortMs: options.sortMs ?? 0,
    tls: options.tls,
    onFull: options.onFull ?? "dropOldest",
    labels: { ...options.labels },
  };
}

function parseFilter(text: string | undefined): Query | undefined {
  if (text === undefined || text.trim() === "") return undefined;
  const query = compileQuery(text);
  for (const stage of query.stages) {
    if (stage !== "stats" && stage !== "head") continue;
    throw badOption(
      "filter",
      `"${stage}" can't be used in a drain, which must account for each message`,
    );
  }
  return query;
}

/** Throws `bad-request` for headers that a drain may not have. */
export function checkHeaders(headers: Readonly<Record<string, string>>, kind: DrainKind): void {
  const names = Object.keys(headers);
  if (names.length > 32) throw badOption("headers", "has more than 32");
  if (names.length > 0 && !kind.endsWith("https"))
    throw badOption("headers", `does not go with ${kind}`);
  for (const name of names) {
    if (FORBIDDEN_HEADERS.has(name.toLowerCase())) {
      throw badOption("headers", `must not set "${name}", which frames the request`);
    }
    try {
      validateHeaderName(name);
      validateHeaderValue(name, headers[name] as string);
    } catch {
      // The cause is left out: it may quote the value, which is a secret.
      throw badOption("headers", `"${name.replace(/[^\x21-\x7e]/g, "?")}" is no valid header`);
    }
  }
}

function badOption(name: string, problem: string): LogplexError {
  return new LogplexError("bad-request", `Drain option ${name}: ${problem}.`, {
    details: { option: name, problem },
  });
}
