import { BlockedAddress } from "../net/lookup.ts";
import type { SendOutcome } from "./transport.ts";

const CERTIFICATE_CODES = new Set([
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REVOKED",
  "CERT_REJECTED",
  "CERT_UNTRUSTED",
  "CERT_CHAIN_TOO_LONG",
  "CERT_SIGNATURE_FAILURE",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "PATH_LENGTH_EXCEEDED",
  "HOSTNAME_MISMATCH",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "ERR_DRAIN_PIN_MISMATCH",
  "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
  "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE",
  "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED",
  "ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN",
  "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
]);

const UNRESOLVED = new Set(["ENOTFOUND", "EAI_AGAIN", "EAI_NODATA", "EAI_FAIL", "ENODATA"]);

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection closed while sending",
  ETIMEDOUT: "connection timed out",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
  EADDRNOTAVAIL: "address not available",
};

/** A timeout of ours, named so that its reason can be told apart from that of the system. */
export class SendTimeout extends Error {
  readonly code = "ETIMEOUT";
}

/** Error of a socket or a resolver → outcome. */
export function outcomeOfError(error: unknown): SendOutcome {
  if (error instanceof BlockedAddress) return { kind: "blocked", reason: error.reason };
  if (error instanceof SendTimeout) return { kind: "temporary", reason: error.message };
  const code = codeOf(error);
  if (code !== undefined && CERTIFICATE_CODES.has(code)) {
    return { kind: "certificate", reason: certificateReason(code, error) };
  }
  if (code !== undefined && UNRESOLVED.has(code)) {
    return { kind: "temporary", reason: "its name does not resolve", unresolved: true };
  }
  if (code?.startsWith("ERR_SSL_") || code === "EPROTO") {
    return { kind: "temporary", reason: `TLS failed (${code})` };
  }
  if (code?.startsWith("HPE_")) {
    return { kind: "temporary", reason: "the reply is no HTTP" };
  }
  const known = code !== undefined && Object.hasOwn(REASONS, code) ? REASONS[code] : undefined;
  return { kind: "temporary", reason: known ?? `connection failed (${code ?? "unknown error"})` };
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) return codeOf(error.errors[error.errors.length - 1]);
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

function certificateReason(code: string, error: unknown): string {
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return "hostname mismatch";
  if (code === "ERR_DRAIN_PIN_MISMATCH") return "public key is not pinned";
  if (code.startsWith("ERR_SSL_")) return code.slice(8).toLowerCase().replaceAll("_", " ");
  if (!(error instanceof Error)) return code;
  // Newer versions of Node add advice for their own operator, which the owner of a drain is not.
  return error.message.replace(/; if the root CA is installed locally.*$/s, "");
}
