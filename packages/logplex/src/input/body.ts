import type { IncomingMessage } from "node:http";
import type { Transform } from "node:stream";
import * as zlib from "node:zlib";
import type { Clock } from "../clock.ts";

/** Why a body was refused. */
export interface BodyFault {
  readonly status: 400 | 408 | 413 | 415;
  readonly id: string;
  readonly message: string;
}

/** Limits of {@link readBody}. */
export interface BodyLimits {
  /** Bytes on the wire and after inflating; default 8 MiB. */
  readonly maxBytes: number;
  /** Inflated to compressed; default 100. */
  readonly maxRatio: number;
  /** ms without a byte; default 15,000. */
  readonly idleMs: number;
}

/** Below this no ratio is unhealthy: the body is small whatever it was. */
const RATIO_FLOOR_BYTES = 64 * 1024;

type ZlibWithZstd = typeof zlib & { readonly createZstdDecompress?: () => Transform };

function inflater(encoding: string): Transform | undefined {
  switch (encoding) {
    case "gzip":
    case "x-gzip":
      return zlib.createGunzip();
    case "br":
      return zlib.createBrotliDecompress();
    case "deflate":
      return zlib.createInflate();
    case "zstd":
      // Node 20 has none; then the type is refused like any unknown one.
      return (zlib as ZlibWithZstd).createZstdDecompress?.();
    default:
      return undefined;
  }
}

/** Reads and inflates a body within limits. Faults are values; it rejects only when the peer is gone. */
export function readBody(
  request: IncomingMessage,
  limits: BodyLimits,
  clock: Clock,
): Promise<Buffer | BodyFault> {
  const encoding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  const transform = encoding === "identity" || encoding === "" ? undefined : inflater(encoding);
  if (transform === undefined && encoding !== "identity" && encoding !== "")
    return Promise.resolve({
      status: 415,
      id: "unsupported_encoding",
      message: "This content encoding is not known here; use gzip, br, deflate or none.",
    });
  const tooLarge: BodyFault = {
    status: 413,
    id: "payload_too_large",
    message: `The body is larger than ${limits.maxBytes} bytes; send smaller batches.`,
  };
  if (Number(request.headers["content-length"] ?? 0) > limits.maxBytes)
    return Promise.resolve(tooLarge);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let received = 0;
    let inflated = 0;
    let timer: unknown;
    let settled = false;
    const settle = (result: Buffer | BodyFault | Error): void => {
      if (settled) return;
      settled = true;
      clock.clearTimeout(timer);
      request.off("data", onData);
      request.off("end", onEnd);
      request.off("close", onClose);
      // A late error of a half-read body has no one to tell any more.
      transform?.destroy();
      if (result instanceof Error) reject(result);
      else resolve(result);
    };
    const watch = (): void => {
      clock.clearTimeout(timer);
      timer = clock.setTimeout(
        () =>
          settle({ status: 408, id: "slow_body", message: "The body came too slowly; try again." }),
        limits.idleMs,
      );
    };
    const add = (chunk: Buffer): void => {
      inflated += chunk.length;
      if (inflated > limits.maxBytes) settle(tooLarge);
      else if (
        transform !== undefined &&
        inflated > RATIO_FLOOR_BYTES &&
        inflated > received * limits.maxRatio
      )
        settle({
          status: 413,
          id: "payload_too_large",
          message: `The body inflates more than ${limits.maxRatio} to 1; send smaller batches.`,
        });
      else chunks.push(chunk);
    };
    const onData = (chunk: Buffer): void => {
      received += chunk.length;
      watch();
      if (received > limits.maxBytes) settle(tooLarge);
      else if (transform === undefined) add(chunk);
      else if (!transform.write(chunk)) {
        request.pause();
        transform.once("drain", () => request.resume());
      }
    };
    const finish = (): void => settle(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
    const onEnd = (): void => {
      if (transform === undefined) finish();
      else transform.end();
    };
    const onClose = (): void => {
      // It also comes after the end, while the rest is still being inflated.
      if (!request.complete) settle(new Error("The peer closed the connection."));
    };
    transform?.on("data", add);
    transform?.on("end", finish);
    transform?.on("error", () =>
      settle({
        status: 400,
        id: "bad_encoding",
        message: "The body is not what its Content-Encoding says; compress it whole.",
      }),
    );
    request.on("data", onData);
    request.on("end", onEnd);
    request.on("close", onClose);
    // A reset shows as close as well.
    request.on("error", onClose);
    watch();
  });
}
