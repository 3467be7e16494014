import type { Clock } from "../clock.ts";
import type { DrainOutput } from "./drain.ts";
import type { BatchEncoder } from "./encode/encoder.ts";
import { createOctetEncoder } from "./encode/octet-encoder.ts";
import type { Resolve } from "./net/lookup.ts";
import type { DrainPolicy } from "./net/policy.ts";
import type { ParsedDrainOptions } from "./options.ts";
import { createHttpTransport, type HttpTimeouts } from "./transport/http.ts";
import type { DrainTransport } from "./transport/transport.ts";
import type { DrainTarget } from "./url.ts";

/** Surroundings of a drain's receiver side. */
export interface OutputContext {
  readonly clock: Clock;
  readonly random: () => number;
  readonly resolve: Resolve;
  readonly policy: DrainPolicy;
  readonly userAgent: string;
  readonly timeouts?: Partial<HttpTimeouts>;
}

/** Puts encoder and transport of one target together. */
export function createOutput(
  target: DrainTarget,
  options: ParsedDrainOptions,
  token: string,
  context: OutputContext,
): DrainOutput {
  return {
    masked: target.masked,
    options,
    encoder: createEncoder(target, options, token),
    transport: createTransport(target, options, token, context),
  };
}

function createEncoder(
  target: DrainTarget,
  options: ParsedDrainOptions,
  token: string,
): BatchEncoder {
  const { dialect, multiline } = options;
  const onHttp = target.kind === "https";
  return createOctetEncoder({
    dialect: dialect === "logplex" ? "logplex" : "rfc5424",
    hostname: onHttp && dialect === "logplex" ? "host" : token,
    multiline,
  });
}

function createTransport(
  target: DrainTarget,
  options: ParsedDrainOptions,
  token: string,
  context: OutputContext,
): DrainTransport {
  return createHttpTransport({
    ...context,
    target,
    drainToken: token,
    headers: options.headers,
    gzip: options.gzip,
    ...(options.tls ? { tls: options.tls } : {}),
  });
}
