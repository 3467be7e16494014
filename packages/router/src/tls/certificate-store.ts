import { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { EventEmitter } from "eventemitter3";
import { RouterError } from "../errors.ts";

/** A certificate chain with its key, PEM. */
export interface CertificatePair {
  /** Leaf first, then the intermediates. */
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /**
   * OCSP answer of the authority that is stapled to handshakes, as DER or its base64 text; put the
   * pair again with a newer one before it ends.
   */
  readonly ocsp?: string | Buffer;
}

/** A certificate in use. */
export interface StoredCertificate {
  readonly name: string;
  /** Names it covers, lower case. */
  readonly hosts: readonly string[];
  /** ms since the epoch. */
  readonly validTo: number;
  readonly context: SecureContext;
}

/** Events of a {@link CertificateStore}. */
export interface CertificateStoreEvents {
  /** A certificate was put or removed. */
  certificate: (event: { readonly type: "put" | "remove"; readonly name: string }) => void;
  /** A certificate ends within 21, and again within 7 days; told once each. */
  expiring: (event: {
    readonly name: string;
    /** ms since the epoch. */
    readonly validTo: number;
    readonly withinDays: 21 | 7;
  }) => void;
}

const MAX_CONTEXTS = 10_000;
const DAY_MS = 86_400_000;

/**
 * Certificates by server name: exact names before `*.` names. Changes hold for the next
 * handshake; open connections go on (spec/router.md §21).
 */
export class CertificateStore extends EventEmitter<CertificateStoreEvents> {
  readonly #byName = new Map<string, StoredCertificate>();
  readonly #byHost = new Map<string, StoredCertificate>();
  readonly #pairs = new Map<string, CertificatePair>();
  readonly #warned = new Map<string, 21 | 7>();
  /** OCSP answers by the DER of the certificate they are about, as latin1. */
  readonly #staples = new Map<string, Buffer>();
  #default: StoredCertificate | null = null;

  /** All certificates. */
  list(): readonly StoredCertificate[] {
    return [...this.#byName.values()];
  }

  /**
   * Everything another process needs to have the same store.
   * @internal
   */
  pairs(): readonly {
    readonly name: string;
    readonly pair: CertificatePair;
    readonly fallback: boolean;
  }[] {
    return [...this.#pairs].map(([name, pair]) => ({
      name,
      pair,
      fallback: this.#default?.name === name,
    }));
  }

  /** Certificate for handshakes without a known server name. */
  get fallback(): StoredCertificate | null {
    return this.#default;
  }

  /**
   * Adds or replaces a certificate. The first one put, or the one with `fallback: true`, answers
   * handshakes without a known name.
   *
   * @throws RouterError `bad-certificate` when key and certificate do not fit, the certificate
   * is out of date, or a chain is in the wrong order; what was there before stays.
   */
  put(name: string, pair: CertificatePair, options: { readonly fallback?: boolean } = {}): void {
    const stored = readPair(name, pair);
    if (!this.#byName.has(name) && this.#byName.size >= MAX_CONTEXTS)
      throw new RouterError(
        "bad-certificate",
        `There are ${MAX_CONTEXTS} certificates already. Remove one before you put "${name}".`,
      );
    this.#unlink(name);
    this.#byName.set(name, stored);
    const ocsp = typeof pair.ocsp === "string" ? Buffer.from(pair.ocsp, "base64") : pair.ocsp;
    this.#pairs.set(name, {
      cert: pair.cert.toString(),
      key: pair.key.toString(),
      ...(ocsp === undefined ? {} : { ocsp: ocsp.toString("base64") }),
    });
    if (ocsp !== undefined) this.#staples.set(leafOf(pair), ocsp);
    for (const host of stored.hosts) this.#byHost.set(host, stored);
    if (options.fallback === true || this.#default === null || this.#default.name === name)
      this.#default = stored;
    this.emit("certificate", { type: "put", name });
  }

  /** Removes a certificate; unknown names are fine. */
  remove(name: string): void {
    if (!this.#byName.has(name)) return;
    this.#unlink(name);
    this.#pairs.delete(name);
    if (this.#default?.name === name)
      this.#default = (this.#byName.values().next().value as StoredCertificate | undefined) ?? null;
    this.emit("certificate", { type: "remove", name });
  }

  #unlink(name: string): void {
    const old = this.#byName.get(name);
    if (old === undefined) return;
    this.#staples.delete(leafOf(this.#pairs.get(name) as CertificatePair));
    this.#byName.delete(name);
    this.#warned.delete(name);
    for (const host of old.hosts) if (this.#byHost.get(host) === old) this.#byHost.delete(host);
    // A host that two certificates cover falls back to the other one.
    for (const other of this.#byName.values())
      for (const host of other.hosts) if (!this.#byHost.has(host)) this.#byHost.set(host, other);
  }

  /**
   * Emits `expiring` for certificates that end soon; routers that listen with the store call it
   * when they begin and every 12 h.
   *
   * @param now - ms since the epoch.
   */
  checkExpiry(now: number): void {
    for (const { name, validTo } of this.#byName.values()) {
      const left = validTo - now;
      const withinDays = left <= 7 * DAY_MS ? 7 : left <= 21 * DAY_MS ? 21 : null;
      if (withinDays === null || (this.#warned.get(name) ?? 22) <= withinDays) continue;
      this.#warned.set(name, withinDays);
      this.emit("expiring", { name, validTo, withinDays });
    }
  }

  /**
   * The OCSP answer about a certificate, or null.
   *
   * @param certificate - DER of the leaf.
   * @internal
   */
  staple(certificate: Buffer): Buffer | null {
    return this.#staples.get(certificate.toString("latin1")) ?? null;
  }

  /** The certificate for a server name, in constant time. */
  find(serverName: string): StoredCertificate | undefined {
    const name = serverName.toLowerCase();
    const exact = this.#byHost.get(name);
    if (exact !== undefined) return exact;
    const dot = name.indexOf(".");
    return dot < 0 ? undefined : this.#byHost.get(`*${name.slice(dot)}`);
  }
}

/** Whether a certificate is valid for a host. */
export function coversHost(certificate: StoredCertificate, hostname: string): boolean {
  const { hosts } = certificate;
  if (hosts.includes(hostname)) return true;
  const dot = hostname.indexOf(".");
  return dot > 0 && hosts.includes(`*${hostname.slice(dot)}`);
}

function leafOf(pair: CertificatePair): string {
  return new X509Certificate(pair.cert).raw.toString("latin1");
}

function readPair(name: string, pair: CertificatePair): StoredCertificate {
  const chain =
    pair.cert.toString().match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const refuse = (reason: string, cause?: unknown): never => {
    throw new RouterError(
      "bad-certificate",
      `Certificate "${name}" is not usable: ${reason}. Give the leaf first, then the intermediates, with the leaf's key.`,
      { details: { name }, cause },
    );
  };
  let leaf: X509Certificate;
  let context: SecureContext;
  try {
    const parsed = chain.map((pem) => new X509Certificate(pem));
    leaf = parsed[0] ?? refuse("it holds no certificate");
    for (let i = 1; i < parsed.length; i++)
      if (!(parsed[i - 1] as X509Certificate).checkIssued(parsed[i] as X509Certificate))
        refuse(`certificate ${i + 1} did not issue certificate ${i}`);
    context = createSecureContext({
      cert: pair.cert,
      key: pair.key,
      minVersion: "TLSv1.2",
      ciphers: CIPHERS,
    });
  } catch (error) {
    if (RouterError.is(error)) throw error;
    return refuse(error instanceof Error ? error.message : String(error), error);
  }
  const validTo = Date.parse(leaf.validTo);
  if (validTo < Date.now()) refuse(`it ended on ${leaf.validTo}`);
  if (Date.parse(leaf.validFrom) > Date.now() + 300_000) refuse(`it begins on ${leaf.validFrom}`);
  return { name, hosts: certificateHosts(leaf), validTo, context };
}

/** ECDHE with AEAD alone; TLS 1.3 suites are all of that kind. */
export const CIPHERS =
  "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:" +
  "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" +
  "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

function certificateHosts(leaf: X509Certificate): string[] {
  const names = (leaf.subjectAltName ?? "")
    .split(/,\s*/)
    .map((entry) => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1]?.toLowerCase())
    .filter((entry) => entry !== undefined);
  if (names.length > 0) return names;
  const common = /^CN=(.+)$/m.exec(leaf.subject)?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}
