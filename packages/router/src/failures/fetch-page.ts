/** Fetches one page of an app's owner, without reaching anything that is not public. */

import type { LookupAddress } from "node:dns";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import type { RouterClock } from "../time/clock.ts";
import { isPublicAddress } from "./public-address.ts";

/** Largest page, in octets; the same as for pages that are given inline. */
export const MAX_PAGE_BYTES = 262_144;
const MAX_REDIRECTS = 3;
const FETCH_MS = 10_000;

/** All addresses of a name; `dns.lookup` with `all: true` fits. */
export type LookupAll = (
  hostname: string,
  options: { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** What a fetch needs. */
export interface FetchPageOptions {
  readonly clock: RouterClock;
  readonly lookup: LookupAll;
  /** Addresses of this machine and of private networks may be asked as well. */
  readonly allowPrivate: boolean;
}

/** A fetch that goes on. */
export interface PageFetch {
  /** Rejects with an error whose message is a short reason, such as `status 404`. */
  readonly page: Promise<string>;
  /** Ends it; `page` rejects then. */
  cancel(): void;
}

/**
 * Gets a page by `http:` or `https:`: 200, HTML, at most 256 KiB, within 10 s, over at most 3
 * redirects. The address that was checked is the one that is connected to, so a name that changes
 * its address in between gains nothing.
 */
export function fetchPage(url: string, options: FetchPageOptions): PageFetch {
  let stop = (_reason: string) => {};
  const page = new Promise<string>((resolve, reject) => {
    let current: { destroy(): void } | null = null;
    let settled = false;
    const settle = (finish: () => void) => {
      if (settled) return;
      settled = true;
      options.clock.clearTimeout(timer);
      current?.destroy();
      finish();
    };
    stop = (reason) => settle(() => reject(new Error(reason)));
    const timer = options.clock.setTimeout(() => stop("timeout"), FETCH_MS);
    const ask = (target: URL, redirects: number) => {
      const refused = refusal(target, options.allowPrivate);
      if (refused !== null) {
        stop(refused);
        return;
      }
      const request = (target.protocol === "https:" ? httpsRequest : httpRequest)(target, {
        agent: false,
        lookup: guardedLookup(options),
        headers: {
          accept: "text/html",
          "accept-encoding": "identity",
          "user-agent": "dynokit-router",
        },
      });
      current = request;
      request.on("error", (error: NodeJS.ErrnoException) =>
        stop(error.code ?? error.message.slice(0, 100)),
      );
      request.on("response", (response) => {
        const location = redirectOf(response, target);
        if (location === null) {
          read(response, (text) => settle(() => resolve(text)), stop);
          return;
        }
        // The rest of this exchange means nothing any more, its errors included.
        request.removeAllListeners("error").on("error", () => {});
        request.destroy();
        if (typeof location === "string" || redirects === 0)
          stop(typeof location === "string" ? location : "too many redirects");
        else ask(location, redirects - 1);
      });
      request.end();
    };
    try {
      ask(new URL(url), MAX_REDIRECTS);
    } catch {
      stop("not a URL");
    }
  });
  return { page, cancel: () => stop("cancelled") };
}

/** Why a URL is not asked at all, or null. */
function refusal(url: URL, allowPrivate: boolean): string | null {
  if (url.protocol !== "http:" && url.protocol !== "https:") return "not http or https";
  const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  // An address is connected to without a look-up.
  if (isIP(host) !== 0 && !allowPrivate && !isPublicAddress(host)) return "private address";
  return null;
}

function guardedLookup({ lookup, allowPrivate }: FetchPageOptions): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { all: true }, (error, addresses) => {
      if (error !== null) callback(error, "", 0);
      else if (!allowPrivate && !addresses.every(({ address }) => isPublicAddress(address)))
        callback(Object.assign(new Error("private address"), { code: "private address" }), "", 0);
      else if (options.all === true) callback(null, addresses);
      else callback(null, addresses[0]?.address ?? "", addresses[0]?.family ?? 0);
    });
  };
}

/** Where an answer leads; text when that is no URL; null when it is no redirect. */
function redirectOf(response: IncomingMessage, from: URL): URL | string | null {
  if (![301, 302, 303, 307, 308].includes(response.statusCode ?? 0)) return null;
  try {
    return new URL(response.headers.location ?? "", from);
  } catch {
    return "bad redirect";
  }
}

function read(
  response: IncomingMessage,
  done: (text: string) => void,
  fail: (reason: string) => void,
): void {
  const type = response.headers["content-type"] ?? "text/html";
  if (response.statusCode !== 200) {
    fail(`status ${response.statusCode}`);
    return;
  }
  if (!/^(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)/i.test(type)) {
    fail("not HTML");
    return;
  }
  if ((response.headers["content-encoding"] ?? "identity").toLowerCase() !== "identity") {
    fail("encoded");
    return;
  }
  const parts: Buffer[] = [];
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_PAGE_BYTES) fail("larger than 256 KiB");
    else parts.push(chunk);
  });
  response.on("end", () => {
    const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(type)?.[1] ?? "utf-8";
    try {
      done(new TextDecoder(charset).decode(Buffer.concat(parts)));
    } catch {
      fail("unknown charset");
    }
  });
  response.on("aborted", () => fail("cut"));
}
