import type { HeadLimits } from "../codec/head-limits.ts";
import type { RequestRules } from "../codec/request.ts";
import type { AcmeChallenge } from "../options.ts";
import type { AddressSet } from "../table/address-set.ts";

/** Everything the engine is told, defaults filled in. */
export interface EngineOptions {
  readonly rules: RequestRules;
  readonly requestLimits: HeadLimits;
  readonly responseLimits: HeadLimits;
  readonly obsFold: "refuse" | "replace";
  readonly strictResponse: boolean;
  readonly headMs: number;
  readonly clientIdleMs: number;
  readonly idlePerBackend: number;
  /** Name for `Via`. */
  readonly via: string;
  readonly requestIdField: string;
  readonly requestIdName: string;
  readonly xff: "append" | "replace";
  readonly trustedProxies: AddressSet | null;
  readonly dropUntrustedForwarded: boolean;
  readonly peerPort: boolean;
  readonly echoRequestId: boolean;
  readonly tracing: boolean;
  readonly refuseLoops: boolean;
  /** Access rules for all apps. */
  readonly allow: AddressSet | null;
  readonly deny: AddressSet | null;
  readonly log: LogSettings;
  readonly affinityKeys: readonly Buffer[] | null;
  /** Log channel of requests that belong to no app. */
  readonly channel: string;
  readonly extraLogKeys: boolean;
  /** RFC 8441: WebSockets over HTTP/2. */
  readonly http2WebSocket: boolean;
  readonly acmeChallenge: AcmeChallenge | null;
  readonly onError: (error: unknown) => void;
}

/** What the access log leaves out or adds (spec/router.md §24). */
export interface LogSettings {
  /** What becomes of the query in `path=`: kept, left out, or a digest of it. */
  readonly redactQuery: "none" | "all" | "hash";
  readonly format: "logfmt" | "json";
  /** Share of the lines about 2xx answers that are written, 0 to 1. */
  readonly sampleSuccess: number;
  /** `trace_id=` from `traceparent`. */
  readonly traceIds: boolean;
}
