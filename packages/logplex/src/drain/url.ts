import { isIP } from "node:net";
import { LogplexError } from "../errors.ts";
import { type DrainPolicy, refusedAddress, refusedPort } from "./net/policy.ts";

/** Kind of a drain, by the scheme of its URL (spec/logplex.md §9.1). */
export type DrainKind =
  | "https"
  | "syslog"
  | "syslog+tls"
  | "udpsyslog"
  | "ndjson+https"
  | "otlp+https"
  | "loki+https"
  | "file"
  | "stdout"
  | "custom";

/** A drain URL taken apart. */
export interface DrainTarget {
  readonly kind: DrainKind;
  /** As given. Secret: it may hold credentials. */
  readonly url: string;
  /** With user-info and query values masked; for logs, notices and listings. */
  readonly masked: string;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** Path and query, for the kinds on HTTP. */
  readonly path: string;
  /** From the user-info, decoded. */
  readonly credentials?: { readonly user: string; readonly password: string };
  /** No verification of the certificate: `#insecure`. */
  readonly unverified: boolean;
  /** Path of a `file:` drain. */
  readonly file?: string;
}

interface Scheme {
  readonly kind: DrainKind;
  readonly tls: boolean;
  readonly port: number;
  readonly http: boolean;
  readonly defaultPath?: string;
}

const SCHEMES: Readonly<Record<string, Scheme>> = {
  "https:": { kind: "https", tls: true, port: 443, http: true },
  "http:": { kind: "https", tls: false, port: 80, http: true },
  "ndjson+https:": { kind: "ndjson+https", tls: true, port: 443, http: true },
  "ndjson+http:": { kind: "ndjson+https", tls: false, port: 80, http: true },
  "otlp+https:": { kind: "otlp+https", tls: true, port: 443, http: true, defaultPath: "/v1/logs" },
  "otlp+http:": { kind: "otlp+https", tls: false, port: 80, http: true, defaultPath: "/v1/logs" },
  "loki+https:": {
    kind: "loki+https",
    tls: true,
    port: 443,
    http: true,
    defaultPath: "/loki/api/v1/push",
  },
  "loki+http:": {
    kind: "loki+https",
    tls: false,
    port: 80,
    http: true,
    defaultPath: "/loki/api/v1/push",
  },
  "syslog:": { kind: "syslog", tls: false, port: 601, http: false },
  "tcpsyslog:": { kind: "syslog", tls: false, port: 601, http: false },
  "syslog+tcp:": { kind: "syslog", tls: false, port: 601, http: false },
  "syslog+tls:": { kind: "syslog+tls", tls: true, port: 6514, http: false },
  "udpsyslog:": { kind: "udpsyslog", tls: false, port: 514, http: false },
  "syslog+udp:": { kind: "udpsyslog", tls: false, port: 514, http: false },
};

const KNOWN = "https, syslog, syslog+tls, udpsyslog, ndjson+https, otlp+https, loki+https";

/**
 * Reads and checks a drain URL. Throws `bad-drain-url`; the message shows the URL masked. Host names
 * are resolved and checked at every connect, addresses already here.
 */
export function parseDrainUrl(
  text: string,
  policy: DrainPolicy,
  customSchemes: readonly string[] = [],
): DrainTarget {
  const url = readUrl(text);
  if (text.length > 2048) throw refuse("it is longer than 2048 characters", "shorten it");
  if (url.protocol === "file:" || url.protocol === "stdout:") return parseLocal(text, url, policy);
  if (customSchemes.includes(url.protocol.slice(0, -1))) return customTarget(text, url);
  const scheme = Object.hasOwn(SCHEMES, url.protocol) ? SCHEMES[url.protocol] : undefined;
  if (!scheme) {
    // Without `//` what looks like a scheme may be the user of `user:password@host`.
    const name = /^[^:]+:\/\//.test(text)
      ? `the scheme "${url.protocol.slice(0, -1)}"`
      : "its scheme";
    throw refuse(`${name} is unknown`, `use one of ${KNOWN}`);
  }
  // URLs of unknown schemes get no host normalisation: numbers such as 0x7f000001 stay as they are.
  const normal = readUrl(`http${text.slice(text.indexOf(":"))}`);
  const host = normal.hostname.replace(/^\[|\]$/g, "");
  if (host === "") throw refuse("it names no host", "write scheme://host[:port]");
  const explicit = portOf(text);
  const port = explicit ?? scheme.port;
  if (port < 1 || port > 65_535) throw refuse("its port is out of range", "use 1 to 65535");
  const target: DrainTarget = {
    kind: scheme.kind,
    url: text,
    masked: maskUrl(text),
    host,
    port,
    tls: scheme.tls,
    path: scheme.http ? pathOf(normal, scheme) : "",
    ...credentialsOf(normal),
    unverified: scheme.kind === "syslog+tls" && url.hash === "#insecure",
  };
  checkPolicy(target, scheme, policy);
  return target;
}

function customTarget(text: string, url: URL): DrainTarget {
  return {
    kind: "custom",
    url: text,
    masked: maskUrl(text),
    host: url.hostname,
    port: Number(url.port),
    tls: false,
    path: url.pathname + url.search,
    unverified: false,
  };
}

function readUrl(text: string): URL {
  try {
    return new URL(text);
  } catch {
    // The cause is left out: it holds the URL with its secrets.
    throw refuse("it is no URL", `write for instance https://logs.example.com/path (${KNOWN})`);
  }
}

function pathOf(url: URL, scheme: Scheme): string {
  const path = url.pathname === "/" && scheme.defaultPath ? scheme.defaultPath : url.pathname;
  return path + url.search;
}

function portOf(text: string): number | undefined {
  const authority = /^[^:]+:\/\/([^/?#]*)/.exec(text)?.[1] ?? "";
  const found = /:(\d{1,5})$/.exec(authority);
  return found ? Number(found[1]) : undefined;
}

function credentialsOf(url: URL): Pick<DrainTarget, "credentials"> {
  if (url.username === "" && url.password === "") return {};
  try {
    return {
      credentials: {
        user: decodeURIComponent(url.username),
        password: decodeURIComponent(url.password),
      },
    };
  } catch (cause) {
    throw refuse("its user-info is not percent-encoded correctly", "write % as %25", cause);
  }
}

function checkPolicy(target: DrainTarget, scheme: Scheme, policy: DrainPolicy): void {
  if (scheme.http && !scheme.tls && !policy.allowInsecure) {
    throw refuse(
      "plain http is not allowed",
      "use https, or let the operator set allowInsecure",
      undefined,
      target,
    );
  }
  if (target.unverified && !policy.allowUnverified) {
    throw refuse(
      "#insecure is not allowed",
      "give the receiver a certificate that verifies",
      undefined,
      target,
    );
  }
  const port = refusedPort(policy, target.port);
  if (port) throw refuse(port, "use another port", undefined, target);
  const local = target.host === "localhost" || target.host.endsWith(".localhost");
  const literal = isIP(target.host) !== 0 ? target.host : local ? "127.0.0.1" : undefined;
  const reason = literal === undefined ? undefined : refusedAddress(policy, target.host, literal);
  if (reason)
    throw refuse(
      reason,
      "use a public receiver, or let the operator allow this one",
      undefined,
      target,
    );
}

function parseLocal(text: string, url: URL, policy: DrainPolicy): DrainTarget {
  const kind = url.protocol === "file:" ? "file" : "stdout";
  if (!policy.allowLocal) {
    throw refuse(
      `${kind}: drains are for the operator`,
      "use https, or let the operator set allowLocal",
    );
  }
  if (
    kind === "file" &&
    (url.hostname !== "" || url.pathname.length < 2 || url.pathname.endsWith("/"))
  ) {
    throw refuse("it names no file", "write file:///var/log/app.log");
  }
  return {
    kind,
    url: text,
    masked: text,
    host: "",
    port: 0,
    tls: false,
    path: "",
    unverified: false,
    ...(kind === "file" ? { file: decodeURIComponent(url.pathname) } : {}),
  };
}

/**
 * The URL with user-info and the values of the query replaced by `***`. Also works on text that is
 * no URL, where it hides everything after the scheme.
 */
export function maskUrl(text: string): string {
  const found = /^([A-Za-z][A-Za-z0-9+.-]*:\/\/)([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(text);
  if (!found) return text.replace(/^([A-Za-z][A-Za-z0-9+.-]*:).*$/s, "$1***");
  const [, scheme = "", authority = "", path = "", query = "", hash = ""] = found;
  const at = authority.lastIndexOf("@");
  const host = at < 0 ? authority : `***@${authority.slice(at + 1)}`;
  const hidden = query.replace(
    /([?&])([^=&]*)(=[^&]*)?/g,
    (_, mark: string, key: string, value?: string) =>
      // A query without `=` may be nothing but a token.
      value === undefined ? `${mark}${key === "" ? "" : "***"}` : `${mark}${key}=***`,
  );
  return scheme + host + path + hidden + (hash === "#insecure" ? hash : hash === "" ? "" : "#***");
}

function refuse(
  problem: string,
  repair: string,
  cause?: unknown,
  target?: DrainTarget,
): LogplexError {
  const shown = target ? ` ${target.masked}` : "";
  return new LogplexError("bad-drain-url", `Drain URL${shown} refused: ${problem}; ${repair}.`, {
    cause,
    details: { problem, ...(target ? { url: target.masked } : {}) },
  });
}
