/** Meaning of a request head: framing, host, persistence, upgrade, expectation (spec/router.md §4-7). */

import { isIPv6 } from "node:net";
import { FAULTS, type Fault } from "./faults.ts";
import { F, lookupField, NOT_NOMINABLE } from "./field-names.ts";
import type { Head } from "./head.ts";
import { isToken } from "./octets.ts";

/** How strictly requests are read. */
export interface RequestRules {
  /** `heroku` keeps Heroku's lenient readings where they are safe enough. */
  readonly compat: "none" | "heroku";
  /**
   * `report` lets the soft rules pass in normalised form and names them in `lint=` and
   * `Head.soft`.
   */
  readonly strict: "enforce" | "report";
  readonly allowTrace: boolean;
  /** `reject-ambiguous` refuses targets that hops may normalise differently. */
  readonly pathPolicy: "as-is" | "reject-ambiguous";
}

/** Framing of a body by {@link RequestMeaning.length}. */
export const NO_BODY = -1;
export const CHUNKED = -2;

/** What a request asks for; made once per request from its {@link Head}. */
export interface RequestMeaning {
  readonly method: string;
  /** As forwarded: origin-form or `*`. */
  readonly target: string;
  /** The `Host` field as sent. */
  readonly host: string;
  /** The host in the form of the route table: lower case, no port, no trailing dot. */
  readonly hostname: string;
  /** Octets of the body, {@link NO_BODY} or {@link CHUNKED}. */
  readonly length: number;
  /** Whether the client wants the connection kept. */
  readonly keepAlive: boolean;
  /** Lower-case names that `Connection` nominates; null when none. */
  readonly nominated: readonly string[] | null;
  /** Value of `Upgrade` that goes on to the backend; null when none. */
  readonly upgrade: string | null;
  readonly expectContinue: boolean;
  readonly teTrailers: boolean;
  /** Both framings were sent and `compat` let one win: the connection ends after the answer. */
  readonly closeAfter: boolean;
}

const HOST = /^(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9\-._~!$&'()*+;=%]+)(?::[0-9]{1,5})?$/;
const ABSOLUTE = /^(https?):\/\/([^/?]*)([/?].*)?$/i;
const AMBIGUOUS = /%2e|%2f|%5c|\\|\/\/|\/\.{1,2}(?:\/|$)/i;
const MAX_HOST = 255;
const NO_TOKENS: readonly string[] = [];

/** The host of a `Host` field or authority in the form of the route table. */
export function normaliseHost(host: string): string {
  let end = host.length;
  const colon = host.lastIndexOf(":");
  if (colon >= 0 && host.indexOf("]", colon) < 0) end = colon;
  if (end > 1 && host.charCodeAt(end - 1) === 46) end--;
  return host.slice(0, end).toLowerCase();
}

/** Whether the text is `reg-name / IPv4 / [IPv6]` with an optional port (R9110 §7.2). */
export function isHost(host: string): boolean {
  return host.length <= MAX_HOST && HOST.test(host);
}

// Nearly all requests of a connection carry the same Host, so the last answers are remembered.
const hosts = new Map<string, string>();
let lastHost = "";
let lastName = "";

function checkedHostname(host: string): string | null {
  // A comparison is cheaper than the hash of a new string.
  if (host === lastHost) return lastName;
  const known = hosts.get(host);
  if (known !== undefined) {
    lastHost = host;
    lastName = known;
    return known;
  }
  if (!isHost(host)) return null;
  // Brackets hold an IPv6 address and nothing else.
  if (host.startsWith("[") && !isIPv6(host.slice(1, host.indexOf("]")))) return null;
  const name = normaliseHost(host);
  if (name === "") return null;
  if (hosts.size >= 1024) hosts.clear();
  hosts.set(host, name);
  return name;
}

/** Splits a comma list of tokens, lower-cased; empty elements are ignored (R9110 §5.6.1). */
export function listTokens(head: Head, id: number): readonly string[] {
  if ((head.times[id] as number) === 0) return NO_TOKENS;
  const tokens: string[] = [];
  for (let i = head.first[id] as number; i < head.count; i++) {
    if (head.id(i) !== id) continue;
    for (const part of head.value(i).split(",")) {
      const token = part.trim().toLowerCase();
      if (token !== "") tokens.push(token);
    }
  }
  return tokens;
}

/** Reads the digits of a length; a fault when it is not `1*DIGIT` or too large to count. */
function parseLength(text: string): number | Fault {
  if (text.length === 0) return FAULTS.lengthInvalid;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9)
      return text.includes(",") ? FAULTS.lengthList : FAULTS.lengthInvalid;
    value = value * 10 + digit;
  }
  return value > Number.MAX_SAFE_INTEGER ? FAULTS.lengthTooLarge : value;
}

function contentLength(head: Head, rules: RequestRules): number | Fault {
  const first = head.first[F.contentLength] as number;
  if (first < 0) return NO_BODY;
  const text = head.value(first);
  let length = parseLength(text);
  if (length === FAULTS.lengthList && rules.strict === "report") {
    const parts = new Set(text.split(",").map((part) => part.trim()));
    if (parts.size === 1) {
      length = parseLength([...parts][0] as string);
      head.lint = "length-list";
      head.soft ??= FAULTS.lengthList;
    }
  }
  if (typeof length !== "number") return length;
  if ((head.times[F.contentLength] as number) > 1)
    for (let i = first + 1; i < head.count; i++)
      if (head.id(i) === F.contentLength && head.value(i) !== text) return FAULTS.lengthDiffers;
  return length;
}

function transferCoding(head: Head): Fault | null {
  if (head.minor === 0) return FAULTS.codingInHttp10;
  const raw: string[] = [];
  for (let i = head.first[F.transferEncoding] as number; i < head.count; i++)
    if (head.id(i) === F.transferEncoding) raw.push(head.value(i));
  const joined = raw.join(",");
  if (joined.toLowerCase() === "chunked") return null;
  const codings = joined.split(",").map((coding) => coding.trim().toLowerCase());
  const named = codings.filter((coding) => coding !== "");
  if (named.length === 0) return FAULTS.codingInvalid;
  const chunked = named.filter((coding) => coding === "chunked").length;
  if (named.length === 1 && chunked === 1 && codings.length === 1) return null;
  if (joined.includes('"') || chunked > 1) return FAULTS.codingInvalid;
  if (chunked === 1)
    return named.at(-1) === "chunked" && named.length > 1
      ? FAULTS.codingUnknown
      : FAULTS.codingInvalid;
  return named.every((coding) => isToken(coding.split(";")[0]?.trim() as string)) &&
    named.length === 1
    ? FAULTS.codingUnknown
    : FAULTS.codingInvalid;
}

function framing(head: Head, rules: RequestRules): number | Fault {
  const length = contentLength(head, rules);
  if ((head.first[F.transferEncoding] as number) < 0) return length;
  const coding = transferCoding(head);
  if (coding !== null) return coding;
  if (length === NO_BODY) return CHUNKED;
  return rules.compat === "heroku" ? CHUNKED : FAULTS.lengthAndCoding;
}

function hostField(head: Head, rules: RequestRules): string | Fault {
  const first = head.first[F.host] as number;
  if (first < 0) return FAULTS.hostMissing;
  const host = head.value(first);
  if ((head.times[F.host] as number) > 1) {
    if (rules.strict !== "report") return FAULTS.hostRepeated;
    for (let i = first + 1; i < head.count; i++)
      if (head.id(i) === F.host && head.value(i) !== host) return FAULTS.hostRepeated;
    head.lint = "host-repeated";
    head.soft ??= FAULTS.hostRepeated;
  }
  return host === "" ? FAULTS.hostEmpty : host;
}

/** Turns the target into origin-form, or says what is wrong with it (R9112 §3.2). */
function targetForm(
  head: Head,
  method: string,
  hostname: string,
  host: string,
  rules: RequestRules,
): string | Fault {
  let target = head.target;
  const first = target.charCodeAt(0);
  if (first !== 47) {
    if (target === "*") return method === "OPTIONS" ? target : FAULTS.target;
    const match = ABSOLUTE.exec(target);
    if (match === null) return FAULTS.target;
    const authority = match[2] as string;
    if (!isHost(authority)) return FAULTS.target;
    const scheme = (match[1] as string).toLowerCase();
    if (normaliseHost(authority) !== hostname || portOf(authority, scheme) !== portOf(host, scheme))
      return rules.compat === "heroku" ? FAULTS.targetAuthorityMisdirected : FAULTS.targetAuthority;
    const rest = match[3] ?? "";
    if (rest === "") target = method === "OPTIONS" ? "*" : "/";
    else target = rest.charCodeAt(0) === 47 ? rest : `/${rest}`;
  }
  if (rules.pathPolicy === "reject-ambiguous" && AMBIGUOUS.test(target.split("?", 1)[0] as string))
    return FAULTS.targetAmbiguous;
  return target;
}

function portOf(authority: string, scheme: string): string {
  const match = /:([0-9]+)$/.exec(authority);
  return match?.[1] ?? (scheme === "https" ? "443" : "80");
}

interface ConnectionOptions {
  keepAlive: boolean;
  close: boolean;
  upgrade: boolean;
  nominated: string[] | null;
}

const NO_OPTIONS: ConnectionOptions = Object.freeze({
  keepAlive: false,
  close: false,
  upgrade: false,
  nominated: null,
});

const KEEP_ALIVE: ConnectionOptions = Object.freeze({ ...NO_OPTIONS, keepAlive: true });
const CLOSE: ConnectionOptions = Object.freeze({ ...NO_OPTIONS, close: true });

function connectionOptions(head: Head): ConnectionOptions | Fault {
  const times = head.times[F.connection] as number;
  if (times === 0) return NO_OPTIONS;
  if (times === 1) {
    const value = head.get(F.connection);
    if (value === "keep-alive") return KEEP_ALIVE;
    if (value === "close") return CLOSE;
  }
  const options: ConnectionOptions = {
    keepAlive: false,
    close: false,
    upgrade: false,
    nominated: null,
  };
  for (const token of listTokens(head, F.connection)) {
    if (token === "keep-alive") options.keepAlive = true;
    else if (token === "close") options.close = true;
    else if (token === "upgrade") options.upgrade = true;
    else if (token !== "te") {
      if (token === "content-length" || token === "transfer-encoding")
        return FAULTS.connectionNominatesFraming;
      const id = lookupField(token);
      if (NOT_NOMINABLE[id] === 1 && id !== 0) continue;
      options.nominated ??= [];
      if (options.nominated.length < 64) options.nominated.push(token);
    }
  }
  return options;
}

/** `h2c` and `TLS/*` are never offered to a backend (spec/router.md §10). */
function offeredUpgrade(head: Head): string | null {
  const offered: string[] = [];
  for (let i = head.first[F.upgrade] as number; i >= 0 && i < head.count; i++) {
    if (head.id(i) !== F.upgrade) continue;
    for (const part of head.value(i).split(",")) {
      const protocol = part.trim();
      if (protocol === "" || /^(?:h2c|tls\/.*)$/i.test(protocol)) continue;
      offered.push(protocol);
    }
  }
  return offered.length === 0 ? null : offered.join(", ");
}

/** Whether the value is a {@link Fault} rather than a meaning. */
export function isFault(value: unknown): value is Fault {
  return typeof value === "object" && value !== null && "rule" in value;
}

/** Reads the meaning of a complete request head, or the first rule that it breaks. */
export function readRequest(head: Head, rules: RequestRules): RequestMeaning | Fault {
  const method = head.method;
  if (method === "CONNECT") return FAULTS.connect;
  if (method === "TRACE" && !rules.allowTrace) return FAULTS.traceRefused;
  const host = hostField(head, rules);
  if (typeof host !== "string") return host;
  const hostname = checkedHostname(host);
  if (hostname === null) return FAULTS.hostInvalid;
  const target = targetForm(head, method, hostname, host, rules);
  if (typeof target !== "string") return target;
  const length = framing(head, rules);
  if (typeof length !== "number") return length;
  const options = connectionOptions(head);
  if (isFault(options)) return options;
  let upgrade: string | null = null;
  if (options.upgrade && head.minor === 1) {
    if ((head.times[F.upgrade] as number) === 0) return FAULTS.upgradeMissing;
    upgrade = offeredUpgrade(head);
  }
  let expectContinue = false;
  const expect = head.get(F.expect);
  if (expect !== undefined && expect !== "") {
    if (expect.toLowerCase() !== "100-continue" || (head.times[F.expect] as number) > 1)
      return FAULTS.expectation;
    expectContinue = head.minor === 1;
  }
  return {
    method,
    target,
    host,
    hostname,
    length,
    keepAlive: head.minor === 1 ? !options.close : options.keepAlive && !options.close,
    nominated: options.nominated,
    upgrade,
    expectContinue,
    teTrailers:
      (head.times[F.te] as number) > 0 &&
      head.minor === 1 &&
      listTokens(head, F.te).some((token) => token === "trailers"),
    closeAfter: length === CHUNKED && (head.first[F.contentLength] as number) >= 0,
  };
}
