import { open } from "node:fs/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { BuilderError } from "../errors.ts";
import { pinnedLookup, publicAddressesOf, type ResolveHost, resolveHost } from "./guard.ts";

/** What {@link FetchBytes} answers: the part of a fetch `Response` that is needed. */
export interface FetchedBytes {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: AsyncIterable<Uint8Array> | null;
}

/** Fetches one URL without following redirects. The global `fetch` fits. */
export type FetchBytes = (
  url: string,
  init: { readonly signal: AbortSignal; readonly redirect: "manual" },
) => Promise<FetchedBytes>;

/** How the builder reaches other hosts. */
export interface NetworkOptions {
  /** Default: Node's HTTP client, held to the addresses that were checked. */
  readonly fetch?: FetchBytes;
  /** Allow loopback and private addresses. Default false. */
  readonly allowPrivateNetworks?: boolean;
  /** Default: the system's resolver. */
  readonly resolve?: ResolveHost;
}

const MAX_REDIRECTS = 5;

/**
 * Downloads to a new file; every hop of a redirect is judged anew.
 *
 * @throws BuilderError `unsafe-url`, `download-failed`, `too-large`, `cancelled`
 */
export async function download(
  url: string,
  to: string,
  options: NetworkOptions & { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<void> {
  const { signal, maxBytes } = options;
  try {
    const body = await follow(url, options);
    const file = await open(to, "wx", 0o600);
    let size = 0;
    try {
      for await (const chunk of body) {
        size += chunk.length;
        if (size > maxBytes)
          throw new BuilderError(
            "too-large",
            `${maskUrl(url)} is larger than ${maxBytes} bytes. Leave files out, or raise \`limits.maxSourceBytes\`.`,
            { details: { limit: maxBytes, name: "maxSourceBytes" } },
          );
        await file.writeFile(chunk);
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    if (BuilderError.is(error)) throw error;
    if (signal.aborted)
      throw new BuilderError("cancelled", "The build was cancelled.", { cause: error });
    throw new BuilderError(
      "download-failed",
      `${maskUrl(url)} could not be fetched: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

/** A URL without user, password and query, which may be secrets. */
export function maskUrl(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname}`;
  } catch {
    return "the URL";
  }
}

async function follow(
  first: string,
  options: NetworkOptions & { readonly signal: AbortSignal },
): Promise<AsyncIterable<Uint8Array>> {
  let url = new URL(first);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
    const addresses = options.allowPrivateNetworks
      ? undefined
      : await publicAddressesOf(url, options.resolve ?? resolveHost);
    const response = await (options.fetch === undefined
      ? fetchPinned(url, addresses, options.signal)
      : options.fetch(url.href, { signal: options.signal, redirect: "manual" }));
    const location = response.headers.get("location");
    if (response.status >= 300 && response.status < 400 && location !== null) {
      await drop(response.body);
      url = new URL(location, url);
      continue;
    }
    if (response.status !== 200 || response.body === null) {
      await drop(response.body);
      throw new BuilderError(
        "download-failed",
        `${maskUrl(url.href)} answered with status ${response.status}; 200 was expected.`,
      );
    }
    return response.body;
  }
  throw new BuilderError(
    "download-failed",
    `${maskUrl(first)} redirects more than ${MAX_REDIRECTS} times.`,
  );
}

async function drop(body: AsyncIterable<Uint8Array> | null): Promise<void> {
  await body?.[Symbol.asyncIterator]().return?.();
}

/** Node's own `fetch` can't be held to an address, so this speaks HTTP with a fixed lookup. */
function fetchPinned(
  url: URL,
  addresses: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<FetchedBytes> {
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      signal,
      agent: false,
      ...(addresses === undefined ? {} : { lookup: pinnedLookup(addresses) }),
      headers: { accept: "*/*", "user-agent": "dynokit-builder" },
    });
    outgoing.once("error", reject);
    outgoing.once("response", (response) => {
      resolve({
        status: response.statusCode ?? 0,
        headers: {
          get: (name) => {
            const value = response.headers[name];
            return value === undefined ? null : String(value);
          },
        },
        body: response,
      });
    });
    outgoing.end();
  });
}
