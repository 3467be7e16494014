/** Heroku's router errors: the strings Heroku prints, and what a client gets (spec/router.md §18). */

/**
 * Error codes of the router. H33 is for requests of HTTP/2 connections that the router ends for
 * their resets; H23 for a listener that was given a name which has no app or no certificate.
 */
export type HCode =
  | "H10"
  | "H11"
  | "H12"
  | "H13"
  | "H14"
  | "H15"
  | "H17"
  | "H18"
  | "H19"
  | "H20"
  | "H21"
  | "H22"
  | "H23"
  | "H24"
  | "H25"
  | "H26"
  | "H27"
  | "H28"
  | "H31"
  | "H32"
  | "H33"
  | "H34"
  | "H80"
  | "H81"
  | "H82"
  | "H83"
  | "H99";

/** One row of the table. */
export interface Failure {
  readonly code: HCode;
  readonly desc: string;
  readonly at: "info" | "warning" | "error";
  /** `status=` of the log line; 0 = blank. */
  readonly status: number;
  /** Which side failed, for `sock=`; null when neither. */
  readonly sock: "client" | "backend" | null;
  /** Whether the exchange counts against the backend (spec/router.md §16). */
  readonly blame: boolean;
  /** Seconds for `Retry-After`; 0 = none. */
  readonly retryAfter: number;
}

function row(
  code: HCode,
  desc: string,
  at: Failure["at"],
  status: number,
  extra: { sock?: "client" | "backend"; blame?: true; retryAfter?: number } = {},
): Failure {
  return Object.freeze({
    code,
    desc,
    at,
    status,
    sock: extra.sock ?? null,
    blame: extra.blame ?? false,
    retryAfter: extra.retryAfter ?? 0,
  });
}

/** All codes with their meaning. */
export const FAILURES: Readonly<Record<HCode, Failure>> = Object.freeze({
  H10: row("H10", "App crashed", "error", 503),
  H11: row("H11", "Backlog too deep", "error", 503, { retryAfter: 1 }),
  H12: row("H12", "Request timeout", "error", 503, { blame: true }),
  H13: row("H13", "Connection closed without response", "error", 503, { blame: true }),
  H14: row("H14", "No web processes running", "error", 503),
  H15: row("H15", "Idle connection", "error", 503),
  H17: row("H17", "Poorly formatted HTTP response", "error", 503, { blame: true }),
  H18: row("H18", "Server Request Interrupted", "error", 503, { sock: "backend", blame: true }),
  H19: row("H19", "Backend connection timeout", "error", 503),
  H20: row("H20", "App boot timeout", "error", 503, { retryAfter: 10 }),
  H21: row("H21", "Backend connection refused", "error", 503),
  H22: row("H22", "Connection limit reached", "error", 503),
  H23: row("H23", "Endpoint misconfigured", "error", 503),
  H24: row("H24", "Forced close", "error", 0),
  H25: row("H25", "HTTP restriction", "error", 502),
  H26: row("H26", "Request Error", "error", 400),
  H27: row("H27", "Client Request Interrupted", "warning", 499, { sock: "client" }),
  H28: row("H28", "Client Connection Idle", "warning", 499, { sock: "client" }),
  H31: row("H31", "Misdirected Request", "error", 421),
  H32: row("H32", "TLS Certificate Mismatch", "error", 421),
  H33: row("H33", "HTTP/2 stream reset", "error", 503),
  H34: row("H34", "All dynos quarantined", "error", 503),
  H80: row("H80", "Maintenance mode", "info", 503),
  H81: row("H81", "Blank app", "info", 503),
  H82: row("H82", "You've used up your dyno hour pool", "info", 503),
  H83: row("H83", "Planned Service Degradation", "info", 503),
  H99: row("H99", "Platform error", "error", 503),
});
