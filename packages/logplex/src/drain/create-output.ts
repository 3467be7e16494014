import type { Clock } from "../clock.ts";
import type { DrainOutput } from "./drain-parts.ts";
import type { BatchEncoder } from "./encode/encoder.ts";
import {
  createLokiEncoder,
  createNdjsonEncoder,
  createOtlpEncoder,
  readOtlpReply,
} from "./encode/json-encoders.ts";
import { createOctetEncoder } from "./encode/octet-encoder.ts";
import type { Resolve } from "./net/lookup.ts";
import type { DrainPolicy } from "./net/policy.ts";
import type { ParsedDrainOptions } from "./options.ts";
import { createHttpTransport, type HttpTimeouts } from "./transport/http.ts";
import { createFileTransport, createWriterTransport } from "./transport/local.ts";
import { createStreamTransport } from "./transport/syslog-stream.ts";
import type { DrainTransport } from "./transport/transport.ts";
import { createUdpTransport } from "./transport/udp.ts";
import type { DrainTarget } from "./url.ts";

/** A kind of drain beyond those built in, chosen by the scheme of the URL. */
export interface CustomDrainKind {
  /**
   * Makes the way to one receiver. What it connects to is its own responsibility: the address guard
   * of the built-in kinds does not apply.
   */
  createTransport(context: CustomDrainContext): DrainTransport;
  /** Form of the messages; default: that of the option `dialect`, NDJSON. */
  createEncoder?(context: CustomDrainContext): BatchEncoder;
}

/** What a custom kind is told about a drain. */
export interface CustomDrainContext {
  /** As given; may hold credentials. */
  readonly url: string;
  readonly token: string;
  readonly channel: string;
  readonly options: ParsedDrainOptions;
  readonly clock: Clock;
}

/** Surroundings of a drain's receiver side. */
export interface OutputContext {
  readonly clock: Clock;
  readonly random: () => number;
  readonly resolve: Resolve;
  readonly policy: DrainPolicy;
  readonly userAgent: string;
  readonly timeouts?: Partial<HttpTimeouts>;
  /** By scheme, without the colon. */
  readonly kinds: Readonly<Record<string, CustomDrainKind>>;
}

/** Puts encoder and transport of one target together. */
export function createOutput(
  target: DrainTarget,
  options: ParsedDrainOptions,
  identity: { readonly token: string; readonly channel: string },
  context: OutputContext,
): DrainOutput {
  const { masked } = target;
  if (target.kind === "custom") {
    const kind = context.kinds[target.url.slice(0, target.url.indexOf(":")).toLowerCase()];
    if (kind) {
      const { token, channel } = identity;
      const custom = { url: target.url, token, channel, options, clock: context.clock };
      return {
        masked,
        options,
        encoder: kind.createEncoder?.(custom) ?? createEncoder(target, options, identity),
        transport: kind.createTransport(custom),
      };
    }
  }
  return {
    masked,
    options,
    encoder: createEncoder(target, options, identity),
    transport: createTransport(target, options, identity.token, context),
  };
}

function createEncoder(
  target: DrainTarget,
  options: ParsedDrainOptions,
  { token, channel }: { readonly token: string; readonly channel: string },
): BatchEncoder {
  const { dialect, multiline, labels } = options;
  switch (dialect) {
    case "ndjson":
      return createNdjsonEncoder({ channel, labels });
    case "otlp":
      return createOtlpEncoder({ channel, labels }, options.encoding);
    case "loki":
      return createLokiEncoder({ channel, labels });
    default:
  }
  // Logplex sends the literal `host` over HTTPS, where the token travels in a header.
  const hostname = target.kind === "https" && dialect === "logplex" ? "host" : token;
  return createOctetEncoder({ dialect, hostname, multiline, counted: target.kind !== "udpsyslog" });
}

function createTransport(
  target: DrainTarget,
  options: ParsedDrainOptions,
  token: string,
  context: OutputContext,
): DrainTransport {
  const tls = options.tls ? { tls: options.tls } : {};
  switch (target.kind) {
    case "syslog":
    case "syslog+tls":
      return createStreamTransport({ ...context, ...tls, target });
    case "udpsyslog":
      return createUdpTransport({ ...context, target });
    case "file":
      return createFileTransport(target.file as string);
    case "stdout":
      return createWriterTransport(process.stdout);
    default:
      return createHttpTransport({
        ...context,
        ...tls,
        target,
        headers: options.headers,
        gzip: options.gzip,
        contentMd5: options.contentMd5,
        concurrency: options.concurrency,
        ...(options.dialect === "loki" || options.dialect === "otlp" ? {} : { drainToken: token }),
        ...(options.dialect === "otlp"
          ? { readReply: (body: Buffer) => readOtlpReply(body, options.encoding) }
          : {}),
      });
  }
}
