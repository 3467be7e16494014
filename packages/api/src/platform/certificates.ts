import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { invalid } from "../errors.ts";

/** What a certificate says of itself; times are ISO 8601. */
export interface CertificateDetails {
  readonly domains: readonly string[];
  readonly startsAt: string;
  readonly expiresAt: string;
  readonly issuer: string;
  readonly subject: string;
  readonly selfSigned: boolean;
  readonly chained: boolean;
}

const pem = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * Checks that a chain and a key belong together.
 *
 * @throws ApiError `invalid-params` saying which of the two is wrong; the key is never quoted.
 */
export function readCertificate(chain: string, privateKey: string): CertificateDetails {
  const blocks = chain.match(pem) ?? [];
  const certificates = blocks.map((block) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw invalid(
        "certificate_chain",
        "certificate_chain holds a certificate that can't be read.",
      );
    }
  });
  const [leaf, next] = certificates;
  if (!leaf) throw invalid("certificate_chain", "certificate_chain holds no PEM certificate.");
  let key: KeyObject;
  try {
    key = createPrivateKey(privateKey);
  } catch {
    throw invalid("private_key", "private_key is no unencrypted PEM private key.");
  }
  if (!leaf.checkPrivateKey(key))
    throw invalid(
      "private_key",
      "private_key does not belong to the first certificate of the chain.",
    );
  const names = (leaf.subjectAltName ?? "")
    .split(/,\s*/)
    .flatMap((entry) => (entry.startsWith("DNS:") ? [entry.slice(4).toLowerCase()] : []));
  const common = /(?:^|\n)CN=(.+)/.exec(leaf.subject)?.[1];
  return {
    domains: names.length > 0 ? names : common === undefined ? [] : [common.toLowerCase()],
    startsAt: new Date(leaf.validFrom).toISOString(),
    expiresAt: new Date(leaf.validTo).toISOString(),
    issuer: oneLine(leaf.issuer),
    subject: oneLine(leaf.subject),
    selfSigned: leaf.issuer === leaf.subject,
    chained: next === undefined || leaf.checkIssued(next),
  };
}

/** `/C=US/CN=example.com`, as OpenSSL's short form. */
function oneLine(name: string): string {
  return name
    .split("\n")
    .map((part) => `/${part}`)
    .join("");
}

/** Whether a name of a certificate covers a hostname; a wildcard stands for one label. */
export function covers(name: string, hostname: string): boolean {
  if (name === hostname) return true;
  if (!name.startsWith("*.")) return false;
  const dot = hostname.indexOf(".");
  return dot > 0 && hostname.slice(dot) === name.slice(1);
}
