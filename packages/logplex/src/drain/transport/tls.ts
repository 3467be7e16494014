import { createHash, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import {
  type ConnectionOptions,
  checkServerIdentity,
  type PeerCertificate,
  type TLSSocket,
} from "node:tls";
import type { DrainTarget } from "../url.ts";
import type { CertificateFacts } from "./transport.ts";

/** TLS of one drain. */
export interface DrainTls {
  /** PEM of authorities to trust instead of the system's. */
  readonly ca?: string;
  /** PEM of certificate and key for receivers that ask for one. The key is a secret. */
  readonly clientCert?: { readonly cert: string; readonly key: string };
  /** Base64 SHA-256 of public keys, one of which the receiver must show. */
  readonly spkiPins?: readonly string[];
}

/** Options of `tls.connect` for a drain: verified, TLS 1.2 or newer, always with SNI. */
export function tlsOptions(target: DrainTarget, tls: DrainTls | undefined): ConnectionOptions {
  return {
    minVersion: "TLSv1.2",
    rejectUnauthorized: !target.unverified,
    // RFC 6066 §3 allows no address as server name.
    ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
    ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls?.clientCert ? { cert: tls.clientCert.cert, key: tls.clientCert.key } : {}),
    checkServerIdentity: (host, certificate) =>
      target.unverified ? undefined : checkPeer(host, certificate, tls?.spkiPins),
  };
}

function checkPeer(
  host: string,
  certificate: PeerCertificate,
  pins: readonly string[] | undefined,
): Error | undefined {
  const mismatch = checkServerIdentity(host, certificate);
  if (mismatch || !pins || pins.length === 0) return mismatch;
  if (pins.includes(spkiOf(certificate.raw))) return undefined;
  return Object.assign(new Error("public key is not pinned"), { code: "ERR_DRAIN_PIN_MISMATCH" });
}

function spkiOf(raw: Buffer): string {
  const key = new X509Certificate(raw).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}

/** The chain a peer showed, leaf first. */
export function certificatesOf(socket: TLSSocket): CertificateFacts[] {
  const facts: CertificateFacts[] = [];
  const seen = new Set<string>();
  let certificate = socket.getPeerCertificate(true);
  while (certificate?.raw && !seen.has(certificate.fingerprint256)) {
    seen.add(certificate.fingerprint256);
    facts.push({
      subject: nameOf(certificate.subject),
      issuer: nameOf(certificate.issuer),
      validFrom: certificate.valid_from,
      validTo: certificate.valid_to,
      spki: spkiOf(certificate.raw),
    });
    certificate = certificate.issuerCertificate;
  }
  return facts;
}

/**
 * Hands over the chain of a peer before it is verified: a socket whose verification failed is gone by the time
 * that its error is told.
 */
export function watchPeer(socket: TLSSocket, seen: (chain: CertificateFacts[]) => void): void {
  // Node verifies in a listener of its own for this event, which would come first.
  socket.prependOnceListener("secure", () => {
    try {
      seen(certificatesOf(socket));
    } catch {
      // A certificate that can't be read is told by the verification.
    }
  });
}

function nameOf(name: PeerCertificate["subject"] | undefined): string {
  return Object.entries(name ?? {})
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(", ");
}
