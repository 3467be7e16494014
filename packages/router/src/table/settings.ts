/** Per-app settings: what callers may set, checked once, and the resolved form the engine reads. */

import { createSecureContext, type SecureContext } from "node:tls";
import { z } from "zod";
import { isHost, normaliseHost } from "../codec/request.ts";
import { RouterError } from "../errors.ts";
import { AddressSet } from "./address-set.ts";

const ms = z.number().int().min(1).max(86_400_000);
const cidrs = z.array(z.string()).max(10_000);

const timeoutsSchema = z
  .strictObject({
    connectMs: ms,
    connectTotalMs: ms,
    bootMs: ms,
    firstByteMs: ms,
    idleMs: ms,
    tunnelIdleMs: z.number().int().min(0).max(86_400_000),
    queueMs: ms,
    backendIdleMs: ms,
    maxDurationMs: z.number().int().min(0).max(86_400_000),
    paths: z
      .array(z.strictObject({ prefix: z.string().startsWith("/"), firstByteMs: ms }))
      .max(100),
  })
  .partial();

const addressSchema = z.union([
  z.strictObject({ host: z.string().min(1), port: z.number().int().min(1).max(65_535) }),
  z.strictObject({ socketPath: z.string().min(1) }),
]);

const backendSchema = z.strictObject({
  id: z.string().min(1).optional(),
  dyno: z.string().min(1).max(64).optional(),
  address: addressSchema.optional(),
  state: z.enum(["booting", "up", "draining", "crashed", "sleeping"]).optional(),
  weight: z.number().min(0.01).max(100).optional(),
  release: z.strictObject({ id: z.string(), version: z.number().int() }).optional(),
});

const affinitySchema = z.union([
  z.boolean(),
  z.strictObject({
    cookie: z.string().min(1).optional(),
    strip: z.boolean().optional(),
    sameSite: z.enum(["Lax", "Strict", "None"]).optional(),
    maxAgeSeconds: z.number().int().min(1).optional(),
    waitMs: z.number().int().min(0).max(10_000).optional(),
  }),
  z.strictObject({ hash: z.enum(["header", "cookie"]), name: z.string().min(1) }),
]);

const balanceSchema = z.union([
  z.enum(["p2c", "random", "round-robin", "least-requests"]),
  z.strictObject({ hash: z.enum(["header", "cookie", "path"]), name: z.string().optional() }),
]);

const maintenanceSchema = z.union([
  z.boolean(),
  z.strictObject({
    allow: cidrs.optional(),
    bypassCookie: z.string().min(8).optional(),
    retryAfterSeconds: z.number().int().min(1).optional(),
    closeTunnels: z.boolean().optional(),
  }),
]);

const pem = z.string().min(1);
const backendTlsSchema = z.union([
  z.boolean(),
  z.strictObject({
    ca: z.union([pem, z.array(pem).min(1)]).optional(),
    serverName: z.string().min(1).max(255).optional(),
    verify: z.boolean().optional(),
    cert: pem.optional(),
    key: pem.optional(),
  }),
]);

const healthSchema = z.strictObject({
  path: z.string().regex(/^\/[\x21-\x7e]*$/),
  intervalMs: z.number().int().min(100).max(3_600_000).optional(),
  timeoutMs: ms.optional(),
  rise: z.number().int().min(1).max(100).optional(),
  fall: z.number().int().min(1).max(100).optional(),
});

const canarySchema = z.strictObject({
  version: z.number().int().min(1),
  share: z.number().min(0).max(1),
  abortAbove: z.number().min(0).max(1).optional(),
  minRequests: z.number().int().min(1).max(1_000_000).optional(),
});

const page = z.string().max(262_144);
const pageUrl = z
  .string()
  .max(2048)
  .refine((text) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === "";
  }, "must be an http or https URL without a user name");

const settingsSchema = z.strictObject({
  hosts: z.array(z.string()).max(10_000).optional(),
  name: z.string().max(255).optional(),
  state: z.enum(["active", "blank", "quota-exhausted", "degraded"]).optional(),
  maintenance: maintenanceSchema.optional(),
  redirects: z.record(z.string(), z.string()).optional(),
  backends: z.array(backendSchema).max(10_000).optional(),
  affinity: affinitySchema.optional(),
  balance: balanceSchema.optional(),
  timeouts: timeoutsSchema.optional(),
  concurrency: z.number().int().min(1).max(100_000).optional(),
  queueMax: z.number().int().min(0).max(1_000_000).optional(),
  requestsPerDyno: z.number().int().min(1).max(1_000_000).optional(),
  continue: z.enum(["auto", "end-to-end", "lazy"]).optional(),
  maxBodyBytes: z.number().int().min(0).optional(),
  access: z.strictObject({ allow: cidrs.optional(), deny: cidrs.optional() }).optional(),
  rate: z
    .strictObject({ perSecond: z.number().min(0.01), burst: z.number().int().min(1) })
    .optional(),
  pages: z
    .strictObject({
      error: page.optional(),
      maintenance: page.optional(),
      errorUrl: pageUrl.optional(),
      maintenanceUrl: pageUrl.optional(),
    })
    .optional(),
  retry: z
    .strictObject({ idempotencyKey: z.boolean().optional(), freshReset: z.boolean().optional() })
    .optional(),
  forceHttps: z
    .union([z.boolean(), z.strictObject({ hstsSeconds: z.number().int().min(0) })])
    .optional(),
  wake: z.boolean().optional(),
  tunnels: z.enum(["close", "keep"]).optional(),
  keepAlive: z.boolean().optional(),
  unsafeReuse: z.enum(["fresh", "recent", "any"]).optional(),
  fieldCase: z.enum(["as-is", "camel"]).optional(),
  responseBufferBytes: z.number().int().min(16_384).max(1_048_576).optional(),
  onClientAbort: z.enum(["stop", "finish"]).optional(),
  slowStartMs: z.number().int().min(0).max(600_000).optional(),
  ejectOn5xx: z.boolean().optional(),
  strict: z.enum(["enforce", "report"]).optional(),
  tracing: z.union([z.boolean(), z.literal("w3c")]).optional(),
  bufferRequestBytes: z.number().int().min(0).max(16_777_216).optional(),
  maxClientConnections: z.number().int().min(1).optional(),
  backendTls: backendTlsSchema.optional(),
  backendProtocol: z.enum(["http1", "h2c"]).optional(),
  health: healthSchema.optional(),
  canary: canarySchema.optional(),
});

/** One address of a dyno, as given to {@link RouteTable.set}. */
export type BackendOptions = z.input<typeof backendSchema>;

/**
 * Settings of one app's route. Each has Heroku's default (spec/router.md §12, §13, §27).
 *
 * | Setting | Default | Meaning |
 * | --- | --- | --- |
 * | `hosts` | `[]` | exact names, or `*.example.com` for one label |
 * | `state` | `active` | `blank` answers H81, `quota-exhausted` H82, `degraded` H83 |
 * | `maintenance` | `false` | H80 |
 * | `concurrency` | none | requests in progress per dyno; more wait in a queue (H11) |
 * | `continue` | `auto` | who answers `Expect: 100-continue` |
 * | `pages` | built in | HTML of `error` and `maintenance`, or `errorUrl` and `maintenanceUrl`, fetched when they are set |
 * | `strict` | the router's | `report` lets soft rules pass and counts them |
 * | `bufferRequestBytes` | 0 | octets of a body that are read before a dyno is chosen |
 * | `maxClientConnections` | none | connections whose last request was for the app (H22) |
 * | `health` | off | asks each dyno for `path` every `intervalMs` (5000); out after `fall` (2) bad answers, back after `rise` (1) |
 * | `canary` | off | `share` of the requests goes to the dynos of release `version`; ends when its rate of H-codes is more than `abortAbove` over that of the others |
 * | `backendProtocol` | `http1` | `h2c` speaks HTTP/2 to the dynos without asking first, one request per connection at a time; for gRPC |
 * | `backendTls` | `false` | TLS to the dynos; `ca` pins who may sign, `serverName` the name, `cert` and `key` show who asks |
 */
export type AppRouteOptions = z.input<typeof settingsSchema>;

/** Time limits of one app, all in ms (spec/router.md §12). */
export interface AppTimeouts {
  readonly connectMs: number;
  readonly connectTotalMs: number;
  readonly bootMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
  /** 0 = none. */
  readonly tunnelIdleMs: number;
  readonly queueMs: number;
  readonly backendIdleMs: number;
  /** 0 = none. */
  readonly maxDurationMs: number;
  /** First-byte limits by path prefix, longest first. */
  readonly paths: readonly { readonly prefix: string; readonly firstByteMs: number }[];
}

/** Heroku's limits. */
export const DEFAULT_TIMEOUTS: AppTimeouts = Object.freeze({
  connectMs: 5000,
  connectTotalMs: 75_000,
  bootMs: 75_000,
  firstByteMs: 30_000,
  idleMs: 55_000,
  tunnelIdleMs: 55_000,
  queueMs: 10_000,
  backendIdleMs: 60_000,
  maxDurationMs: 0,
  paths: [],
});

/** Cookie affinity of one app. */
export interface AffinitySettings {
  readonly cookie: string | null;
  readonly strip: boolean;
  readonly sameSite: "Lax" | "Strict" | "None";
  readonly maxAgeSeconds: number;
  readonly waitMs: number;
}

/** Active checks of one app's dynos (spec/router.md §16). */
export interface HealthSettings {
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly rise: number;
  readonly fall: number;
}

/** Share of one release in the requests of its app (spec/router.md §20). */
export interface CanarySettings {
  readonly version: number;
  /** 0 to 1. */
  readonly share: number;
  /** Infinity = never. */
  readonly abortAbove: number;
  /** Requests of each side before the rates are compared. */
  readonly minRequests: number;
}

/** How dynos are spoken to by TLS (spec/router.md §21). */
export interface BackendTls {
  readonly context: SecureContext;
  /** Name that the certificate must have; null = the address. */
  readonly serverName: string | null;
  readonly verify: boolean;
}

/** How dynos are spoken to where that is not HTTP/1.1 on clear text (spec/router.md §15, §21). */
export interface BackendDial {
  readonly tls: BackendTls | null;
  readonly http2: boolean;
}

/** The settings as the engine reads them. */
export interface AppSettings {
  readonly name: string;
  readonly hosts: readonly string[];
  readonly redirects: ReadonlyMap<string, string>;
  readonly state: "active" | "blank" | "quota-exhausted" | "degraded";
  readonly maintenance: boolean;
  readonly maintenanceAllow: AddressSet | null;
  readonly maintenanceCookie: string | null;
  readonly maintenanceRetryAfter: number;
  readonly maintenanceClosesTunnels: boolean;
  readonly affinity: AffinitySettings | null;
  readonly balance: "p2c" | "random" | "round-robin" | "least-requests" | "hash";
  readonly hashBy: "header" | "cookie" | "path";
  readonly hashName: string;
  readonly timeouts: AppTimeouts;
  /** Infinity = no limit. */
  readonly concurrency: number;
  /** -1 = 2 × dynos × concurrency. */
  readonly queueMax: number;
  readonly requestsPerDyno: number;
  readonly continue: "auto" | "end-to-end" | "lazy";
  readonly maxBodyBytes: number;
  readonly allow: AddressSet | null;
  readonly deny: AddressSet | null;
  readonly rate: { readonly perSecond: number; readonly burst: number } | null;
  readonly errorPage: string | null;
  readonly maintenancePage: string | null;
  readonly errorPageUrl: string | null;
  readonly maintenancePageUrl: string | null;
  readonly retryIdempotencyKey: boolean;
  readonly retryFreshReset: boolean;
  readonly forceHttps: boolean;
  /** -1 = no HSTS field. */
  readonly hstsSeconds: number;
  readonly wake: boolean;
  readonly tunnels: "close" | "keep";
  readonly keepAlive: boolean;
  readonly unsafeReuse: "fresh" | "recent" | "any";
  readonly camelCase: boolean;
  readonly responseBufferBytes: number;
  readonly finishOnAbort: boolean;
  readonly slowStartMs: number;
  readonly ejectOn5xx: boolean;
  /** null = as the router. */
  readonly strict: "enforce" | "report" | null;
  /** null = as the router. */
  readonly tracing: boolean | null;
  readonly bufferRequestBytes: number;
  /** Infinity = no limit. */
  readonly maxClientConnections: number;
  /** null = clear text. */
  /** null = HTTP/1.1 on clear text. */
  readonly dial: BackendDial | null;
  readonly health: HealthSettings | null;
  readonly canary: CanarySettings | null;
}

interface Problem {
  readonly path: string;
  readonly reason: string;
}

/** Where a value is wrong, and how; of a choice of forms, the one that the value comes closest to. */
function problemOf(issue: z.core.$ZodIssue, before: readonly PropertyKey[] = []): Problem {
  const path = [...before, ...issue.path];
  if (issue.code === "invalid_union") {
    const firsts = issue.errors.flatMap(([first]) => (first === undefined ? [] : [first]));
    const [closest] = firsts
      .filter((one) => one.code !== "invalid_type" || one.path.length > 0)
      .sort((a, b) => b.path.length - a.path.length);
    if (closest !== undefined) return problemOf(closest, path);
    const forms = firsts.flatMap((one) => (one.code === "invalid_type" ? [one.expected] : []));
    if (forms.length > 0)
      return { path: path.join("."), reason: `expected ${[...new Set(forms)].join(" or ")}` };
  }
  return { path: path.join("."), reason: issue.message };
}

/**
 * Checks a value against a schema and turns a mismatch into a {@link RouterError}, whose details
 * have the `path` in the value and the `reason`.
 */
export function parseOptions<T extends z.ZodType>(
  schema: T,
  value: unknown,
  what: string,
): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const { path, reason } =
    issue === undefined ? { path: "", reason: "unknown reason" } : problemOf(issue);
  const where = path === "" ? "" : ` at "${path}"`;
  throw new RouterError(
    "invalid-option",
    `${what}${where} is not valid: ${reason}. Correct the option.`,
    { cause: result.error, details: { path, reason } },
  );
}

/** What stands for a part of the settings that is shown to nobody. */
const HIDDEN = "(hidden)";

/** The options as an operator may see them: without the key of `backendTls` and the cookie that passes maintenance. */
export function withoutSecrets(options: AppRouteOptions): AppRouteOptions {
  const { backendTls, maintenance } = options;
  return {
    ...options,
    ...(typeof backendTls === "object" && backendTls.key !== undefined
      ? { backendTls: { ...backendTls, key: HIDDEN } }
      : {}),
    ...(typeof maintenance === "object" && maintenance.bypassCookie !== undefined
      ? { maintenance: { ...maintenance, bypassCookie: HIDDEN } }
      : {}),
  };
}

/** Checks the input of {@link RouteTable.set}; throws `invalid-option`. */
export function parseAppRoute(app: string, options: unknown): AppRouteOptions {
  return parseOptions(settingsSchema, options, `The route of app "${app}"`);
}

/** A host name, or `*.` and one, in the form of the table; throws `invalid-host`. */
export function checkedHost(host: string): string {
  const wildcard = host.startsWith("*.");
  const name = normaliseHost(wildcard ? host.slice(2) : host);
  if (name === "" || !isHost(name) || /[%*]/.test(name))
    throw new RouterError(
      "invalid-host",
      `"${host}" is not a host name. Use a name such as "www.example.com" or "*.example.com".`,
      { details: { host } },
    );
  return wildcard ? `*.${name}` : name;
}

/** `{ idleMs: undefined }` means the default, as everywhere. */
function withoutUndefined(timeouts: Partial<Record<keyof AppTimeouts, unknown>>): object {
  const entries = Object.entries(timeouts).filter(([, value]) => value !== undefined);
  return { ...DEFAULT_TIMEOUTS, ...Object.fromEntries(entries) };
}

function addressSet(list: readonly string[] | undefined, path: string): AddressSet | null {
  if (list === undefined) return null;
  try {
    return new AddressSet(list);
  } catch (error) {
    if (!RouterError.is(error)) throw error;
    const { code, message, details } = error;
    throw new RouterError(code, message, { details: { ...details, path, reason: message } });
  }
}

function resolveBackendTls(
  app: string,
  given: z.output<typeof backendTlsSchema>,
): BackendTls | null {
  if (given === false) return null;
  const { ca, cert, key, serverName, verify } = given === true ? ({} as never) : given;
  try {
    const context = createSecureContext({
      minVersion: "TLSv1.2",
      ...(ca === undefined ? {} : { ca: ca as string[] }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    });
    return Object.freeze({ context, serverName: serverName ?? null, verify: verify ?? true });
  } catch (cause) {
    // The reason alone: the message must not repeat a key.
    const reason = (cause as NodeJS.ErrnoException).code ?? "unknown reason";
    throw new RouterError(
      "invalid-option",
      `The route of app "${app}" at "backendTls" is not valid: ${reason}. Give certificates and key as PEM that fit together.`,
      {
        details: {
          path: "backendTls",
          reason: `${reason}; certificates and key must be PEM that fit together`,
        },
      },
    );
  }
}

/** One object for all, so that a change of other settings leaves idle connections alone. */
const H2C: BackendDial = Object.freeze({ tls: null, http2: true });

function resolveDial(app: string, options: AppRouteOptions): BackendDial | null {
  const tls = resolveBackendTls(app, options.backendTls ?? false);
  const http2 = options.backendProtocol === "h2c";
  if (tls === null) return http2 ? H2C : null;
  return Object.freeze({ tls, http2 });
}

/** Resolves checked options to the form the engine reads. */
export function resolveSettings(app: string, options: AppRouteOptions): AppSettings {
  const maintenance = options.maintenance ?? false;
  const details = typeof maintenance === "object" ? maintenance : {};
  const affinity = options.affinity ?? false;
  const hashAffinity = typeof affinity === "object" && "hash" in affinity ? affinity : null;
  const cookieAffinity =
    affinity === true
      ? {}
      : typeof affinity === "object" && !("hash" in affinity)
        ? affinity
        : null;
  const balance = hashAffinity ?? options.balance ?? "p2c";
  const forceHttps = options.forceHttps ?? false;
  return Object.freeze({
    name: options.name ?? app,
    hosts: [...new Set((options.hosts ?? []).map(checkedHost))],
    redirects: new Map(
      Object.entries(options.redirects ?? {}).map(([from, to]) => [
        checkedHost(from),
        checkedHost(to),
      ]),
    ),
    state: options.state ?? "active",
    maintenance: maintenance !== false,
    maintenanceAllow: addressSet(details.allow, "maintenance.allow"),
    maintenanceCookie: details.bypassCookie ?? null,
    maintenanceRetryAfter: details.retryAfterSeconds ?? 60,
    maintenanceClosesTunnels: details.closeTunnels ?? false,
    affinity:
      cookieAffinity === null
        ? null
        : {
            cookie: cookieAffinity.cookie ?? null,
            strip: cookieAffinity.strip ?? true,
            sameSite: cookieAffinity.sameSite ?? ("Lax" as const),
            maxAgeSeconds: cookieAffinity.maxAgeSeconds ?? 0,
            waitMs: cookieAffinity.waitMs ?? 100,
          },
    balance: typeof balance === "object" ? ("hash" as const) : balance,
    hashBy: typeof balance === "object" ? balance.hash : ("path" as const),
    hashName: (typeof balance === "object" ? (balance.name ?? "") : "").toLowerCase(),
    timeouts: {
      ...(withoutUndefined({ ...DEFAULT_TIMEOUTS, ...options.timeouts }) as AppTimeouts),
      paths: [...(options.timeouts?.paths ?? [])].sort((a, b) => b.prefix.length - a.prefix.length),
    },
    concurrency: options.concurrency ?? Number.POSITIVE_INFINITY,
    queueMax: options.queueMax ?? -1,
    requestsPerDyno: options.requestsPerDyno ?? 200,
    continue: options.continue ?? "auto",
    maxBodyBytes: options.maxBodyBytes ?? Number.POSITIVE_INFINITY,
    allow: addressSet(options.access?.allow, "access.allow"),
    deny: addressSet(options.access?.deny, "access.deny"),
    rate: options.rate ?? null,
    errorPage: options.pages?.error ?? null,
    maintenancePage: options.pages?.maintenance ?? null,
    errorPageUrl: options.pages?.errorUrl ?? null,
    maintenancePageUrl: options.pages?.maintenanceUrl ?? null,
    retryIdempotencyKey: options.retry?.idempotencyKey ?? false,
    retryFreshReset: options.retry?.freshReset ?? false,
    forceHttps: forceHttps !== false,
    hstsSeconds: typeof forceHttps === "object" ? forceHttps.hstsSeconds : -1,
    wake: options.wake ?? false,
    tunnels: options.tunnels ?? "close",
    keepAlive: options.keepAlive ?? true,
    unsafeReuse: options.unsafeReuse ?? "recent",
    camelCase: options.fieldCase === "camel",
    responseBufferBytes: options.responseBufferBytes ?? 262_144,
    finishOnAbort: options.onClientAbort === "finish",
    slowStartMs: options.slowStartMs ?? 0,
    ejectOn5xx: options.ejectOn5xx ?? false,
    strict: options.strict ?? null,
    tracing: options.tracing === undefined ? null : options.tracing !== false,
    bufferRequestBytes: options.bufferRequestBytes ?? 0,
    maxClientConnections: options.maxClientConnections ?? Number.POSITIVE_INFINITY,
    dial: resolveDial(app, options),
    health:
      options.health === undefined
        ? null
        : Object.freeze({
            path: options.health.path,
            intervalMs: options.health.intervalMs ?? 5000,
            timeoutMs: options.health.timeoutMs ?? 5000,
            rise: options.health.rise ?? 1,
            fall: options.health.fall ?? 2,
          }),
    canary:
      options.canary === undefined
        ? null
        : Object.freeze({
            version: options.canary.version,
            share: options.canary.share,
            abortAbove: options.canary.abortAbove ?? Number.POSITIVE_INFINITY,
            minRequests: options.canary.minRequests ?? 100,
          }),
  });
}
