import { readFileSync } from "node:fs";
import { z } from "zod";
import { LogplexError } from "../errors.ts";

const address = { port: z.int().min(0).max(65535).optional(), host: z.string().optional() };
const framing = z.enum(["auto", "octet", "lf"]).optional();

const schema = z.strictObject({
  http: z
    .strictObject({ ...address, api: z.boolean().optional(), metrics: z.boolean().optional() })
    .optional(),
  syslog: z
    .array(
      z.strictObject({
        ...address,
        framing,
        token: z.string().optional(),
        /** Paths of PEM files. */
        tls: z
          .strictObject({ cert: z.string(), key: z.string(), ca: z.string().optional() })
          .optional(),
      }),
    )
    .optional(),
  udp: z.strictObject({ ...address, token: z.string().optional() }).optional(),
  directory: z.string().optional(),
  /** A Redis that several servers share, instead of `directory`. */
  redis: z
    .strictObject({
      /** `redis://host:port/db`, `rediss://…`, or the path of a socket. */
      url: z.string(),
      prefix: z.string().optional(),
      maxLines: z.int().min(1).optional(),
      maxBytes: z.int().min(1).optional(),
      maxAgeMs: z.int().min(1).optional(),
      replicas: z.int().min(0).optional(),
      ackTimeoutMs: z.int().min(1).optional(),
    })
    .optional(),
  /** A NATS JetStream that several servers share, instead of `directory`. */
  nats: z
    .strictObject({
      /** `nats://host:port`, one or several. */
      servers: z.union([z.string(), z.array(z.string()).min(1)]),
      user: z.string().optional(),
      pass: z.string().optional(),
      token: z.string().optional(),
      /** Path of a file of credentials. */
      credentials: z.string().optional(),
      /** Only over TLS; paths of PEM files. */
      tls: z
        .strictObject({
          caFile: z.string().optional(),
          certFile: z.string().optional(),
          keyFile: z.string().optional(),
        })
        .optional(),
      prefix: z.string().optional(),
      replicas: z.union([z.literal(1), z.literal(3), z.literal(5)]).optional(),
      maxLines: z.int().min(1).optional(),
      maxBytes: z.int().min(1).optional(),
      maxAgeMs: z.int().min(1).optional(),
      ackTimeoutMs: z.int().min(1).optional(),
    })
    .optional(),
  /** 32 bytes in hex; the same in all servers that share a Redis or a NATS. */
  sessionKey: z
    .string()
    .regex(/^[0-9a-f]{64}$/i)
    .optional(),
  routerBudget: z
    .strictObject({
      linesPerSecond: z.number().positive(),
      bytesPerSecond: z.number().positive(),
      burstLines: z.number().positive().optional(),
      burstBytes: z.number().positive().optional(),
    })
    .optional(),
  /** Pushes metrics to a receiver of OTLP/HTTP. */
  metricsExport: z
    .strictObject({
      url: z.string(),
      intervalMs: z.int().min(1000).max(3_600_000).optional(),
      headers: z.record(z.string(), z.string()).optional(),
      resource: z.record(z.string(), z.string()).optional(),
    })
    .optional(),
  retention: z
    .strictObject({
      lines: z.int().min(0).optional(),
      ageMs: z.int().min(0).optional(),
      bytes: z.int().min(0).optional(),
    })
    .optional(),
  redact: z.string().optional(),
  /** How the switches of the operator stand at first. */
  switches: z
    .strictObject({
      ingress: z.boolean().optional(),
      history: z.boolean().optional(),
      tails: z.boolean().optional(),
      sessions: z.boolean().optional(),
      firehose: z.boolean().optional(),
      drains: z.boolean().optional(),
      api: z.boolean().optional(),
      apiWrites: z.boolean().optional(),
      metrics: z.boolean().optional(),
    })
    .optional(),
  allowPrivateDrains: z.boolean().optional(),
  channels: z
    .array(
      z.strictObject({
        id: z.string().min(1),
        redact: z.string().optional(),
        class: z.string().optional(),
        lineMetrics: z.boolean().optional(),
        storing: z.boolean().optional(),
        tails: z.boolean().optional(),
        alerts: z
          .array(
            z.strictObject({
              query: z.string(),
              webhook: z.string(),
              count: z.int().min(1).max(10_000).optional(),
              windowMs: z.int().min(1).optional(),
              cooldownMs: z.int().min(1).optional(),
            }),
          )
          .optional(),
        tokens: z.array(z.strictObject({ name: z.string(), id: z.string().optional() })).optional(),
        drains: z
          .array(
            z.looseObject({
              url: z.string(),
              id: z.string().optional(),
              token: z.string().optional(),
              query: z.string().optional(),
            }),
          )
          .optional(),
      }),
    )
    .optional(),
  credentials: z
    .array(
      z.strictObject({
        id: z.string(),
        password: z.string().min(16),
        permissions: z.array(z.enum(["full_api", "any_channel", "channel"])),
      }),
    )
    .optional(),
});

/** Content of the file of `logplex serve`. */
export type ServeConfig = z.infer<typeof schema>;

/** Where logs are kept: one of them at most. */
const PLACES = ["directory", "redis", "nats"] as const;

/** Reads the text of a configuration. Throws `bad-request` that names the field. */
export function parseConfig(text: string): ServeConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new LogplexError("bad-request", "The configuration is not JSON; correct its syntax.", {
      cause,
    });
  }
  const result = schema.safeParse(value);
  const places = PLACES.filter((name) => result.data?.[name] !== undefined);
  if (places.length > 1)
    throw new LogplexError(
      "bad-request",
      `The configuration names both ${places[0]} and ${places[1]}; keep the one that holds the logs.`,
    );
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new LogplexError(
    "bad-request",
    `The configuration is wrong at ${issue.path.join(".") || "its top"}: ${issue.message}.`,
  );
}

/** Text of a file that a configuration names. Throws `bad-request`. */
export function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new LogplexError("bad-request", `${path} can't be read; check the path.`, { cause });
  }
}

/** Without the fields that are undefined. */
export function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
