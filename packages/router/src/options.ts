import { z } from "zod";
import { REQUEST_LIMITS, RESPONSE_LIMITS } from "./codec/head-limits.ts";
import { isToken } from "./codec/octets.ts";
import type { EngineOptions } from "./forward/engine-options.ts";
import { AddressSet } from "./table/address-set.ts";
import { parseOptions } from "./table/settings.ts";
import type { CertificatePair } from "./tls/certificate-store.ts";

/**
 * Answers an HTTP-01 challenge (R8555 §8.3), or says `undefined` so that the request goes to the
 * app. After 5 s without an answer it goes there as well.
 */
export type AcmeChallenge = (
  token: string,
  hostname: string,
) => string | undefined | Promise<string | undefined>;

/** Certificate that proves a name by TLS-ALPN-01 (R8737), within the limit of the handshake. */
export type AcmeTlsChallenge = (
  hostname: string,
) => CertificatePair | undefined | Promise<CertificatePair | undefined>;

const ms = z.number().int().min(1).max(86_400_000);
const count = z.number().int().min(1);
const token = z.string().refine(isToken, "must be an HTTP token");

const headLimits = z
  .strictObject({
    startLineBytes: count,
    fieldLineBytes: count,
    fieldNameBytes: count,
    cookieLineBytes: count,
    fields: count.max(30_000),
    headBytes: count.max(16_000_000),
  })
  .partial();

const schema = z.strictObject({
  timeouts: z
    .strictObject({ headMs: ms, clientIdleMs: ms, tlsHandshakeMs: ms })
    .partial()
    .optional(),
  limits: z
    .strictObject({
      request: headLimits,
      response: headLimits,
      maxClientConnections: count,
      idlePerBackend: z.number().int().min(0),
    })
    .partial()
    .optional(),
  compat: z.enum(["none", "heroku"]).optional(),
  strict: z.enum(["enforce", "report"]).optional(),
  strictResponse: z.boolean().optional(),
  obsFold: z.enum(["refuse", "replace"]).optional(),
  allowTrace: z.boolean().optional(),
  pathPolicy: z.enum(["as-is", "reject-ambiguous"]).optional(),
  via: token.optional(),
  requestIdField: token.optional(),
  xff: z.enum(["append", "replace"]).optional(),
  trustedProxies: z.array(z.string()).optional(),
  dropUntrustedForwarded: z.boolean().optional(),
  peerPort: z.boolean().optional(),
  echoRequestId: z.boolean().optional(),
  tracing: z.union([z.boolean(), z.literal("w3c")]).optional(),
  refuseLoops: z.boolean().optional(),
  access: z
    .strictObject({ allow: z.array(z.string()).optional(), deny: z.array(z.string()).optional() })
    .optional(),
  log: z
    .strictObject({
      redactQuery: z.enum(["none", "all", "hash"]),
      format: z.enum(["logfmt", "json"]),
      sampleSuccess: z.number().min(0).max(1),
      traceIds: z.boolean(),
    })
    .partial()
    .optional(),
  affinityKeys: z.array(z.string().min(16)).min(1).optional(),
  channel: z.string().min(1).optional(),
  extraLogKeys: z.boolean().optional(),
  http2WebSocket: z.boolean().optional(),
  privatePages: z.boolean().optional(),
  acmeChallenge: z.custom<AcmeChallenge>((value) => typeof value === "function").optional(),
  acmeTlsChallenge: z.custom<AcmeTlsChallenge>((value) => typeof value === "function").optional(),
  onError: z.custom<(error: unknown) => void>((value) => typeof value === "function").optional(),
});

/**
 * Settings of a router that hold for all its apps; those of one app are in the route table.
 *
 * | Setting | Default | Meaning |
 * | --- | --- | --- |
 * | `timeouts.headMs` | 10 000 | from the first octet of a head to its last |
 * | `timeouts.clientIdleMs` | 60 000 | between requests of a connection |
 * | `limits.request`, `.response` | Heroku's | see `HeadLimits` |
 * | `compat` | `none` | `heroku` takes over Heroku's lenient readings |
 * | `strict` | `enforce` | `report` lets soft rules pass and counts them |
 * | `via` | `dynokit` | name in `Via` |
 * | `requestIdField` | `X-Request-Id` | |
 * | `xff` | `append` | `replace` forgets what untrusted clients claim |
 * | `trustedProxies` | none | CIDR ranges of hops that may name the client |
 * | `access.allow`, `.deny` | all, none | CIDR ranges for all apps; 403 `cause="acl"` |
 * | `tracing` | `false` | `"w3c"` continues or begins a trace in `traceparent` |
 * | `privatePages` | `false` | apps' pages may be fetched from private addresses too |
 * | `log.redactQuery` | `none` | `all` leaves queries out of the log, `hash` leaves a digest |
 * | `log.format` | `logfmt` | `json` writes objects with the same keys |
 * | `log.sampleSuccess` | 1 | share of the lines about 2xx answers |
 * | `log.traceIds` | `false` | adds `trace_id=` |
 */
export type RouterSettings = z.input<typeof schema>;

/** Limits that the listeners keep themselves. */
export interface RouterLimits {
  readonly maxClientConnections: number;
  readonly tlsHandshakeMs: number;
  /** Pages may be fetched from addresses that are not public. */
  readonly privatePages: boolean;
  readonly acmeTlsChallenge: AcmeTlsChallenge | null;
}

/** Checks the settings; throws `invalid-option`. */
export function parseRouterOptions(settings: RouterSettings): {
  readonly engine: EngineOptions;
  readonly limits: RouterLimits;
} {
  const options = parseOptions(schema, settings, "The router's option");
  const requestIdField = options.requestIdField ?? "X-Request-Id";
  return {
    limits: {
      maxClientConnections: options.limits?.maxClientConnections ?? 100_000,
      tlsHandshakeMs: options.timeouts?.tlsHandshakeMs ?? 10_000,
      privatePages: options.privatePages ?? false,
      acmeTlsChallenge: options.acmeTlsChallenge ?? null,
    },
    engine: {
      rules: {
        compat: options.compat ?? "none",
        strict: options.strict ?? "enforce",
        allowTrace: options.allowTrace ?? true,
        pathPolicy: options.pathPolicy ?? "as-is",
      },
      requestLimits: Object.freeze({ ...REQUEST_LIMITS, ...defined(options.limits?.request) }),
      responseLimits: Object.freeze({ ...RESPONSE_LIMITS, ...defined(options.limits?.response) }),
      obsFold: options.obsFold ?? "refuse",
      strictResponse: options.strictResponse ?? false,
      headMs: options.timeouts?.headMs ?? 10_000,
      clientIdleMs: options.timeouts?.clientIdleMs ?? 60_000,
      idlePerBackend: options.limits?.idlePerBackend ?? 64,
      via: options.via ?? "dynokit",
      requestIdField,
      requestIdName: requestIdField.toLowerCase(),
      xff: options.xff ?? "append",
      trustedProxies:
        options.trustedProxies === undefined ? null : new AddressSet(options.trustedProxies),
      dropUntrustedForwarded: options.dropUntrustedForwarded ?? false,
      peerPort: options.peerPort ?? false,
      echoRequestId: options.echoRequestId ?? false,
      tracing: (options.tracing ?? false) !== false,
      refuseLoops: options.refuseLoops ?? false,
      allow: options.access?.allow === undefined ? null : new AddressSet(options.access.allow),
      deny: options.access?.deny === undefined ? null : new AddressSet(options.access.deny),
      log: Object.freeze({
        redactQuery: options.log?.redactQuery ?? "none",
        format: options.log?.format ?? "logfmt",
        sampleSuccess: options.log?.sampleSuccess ?? 1,
        traceIds: options.log?.traceIds ?? false,
      }),
      affinityKeys:
        options.affinityKeys === undefined
          ? null
          : options.affinityKeys.map((key) => Buffer.from(key)),
      channel: options.channel ?? "router",
      extraLogKeys: options.extraLogKeys ?? false,
      http2WebSocket: options.http2WebSocket ?? true,
      acmeChallenge: options.acmeChallenge ?? null,
      onError: options.onError ?? (() => {}),
    },
  };
}

/** Without entries that are undefined. */
function defined<T extends object>(value: T | undefined): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(
    Object.entries(value ?? {}).filter(([, entry]) => entry !== undefined),
  ) as never;
}
