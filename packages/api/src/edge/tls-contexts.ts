import { createSecureContext, type SecureContext, type Server } from "node:tls";
import type { CertificateProvider, EdgeCertificate } from "./local-authority.ts";

/** Names that are remembered; clients choose them, so their number must be bounded. */
const MAX_NAMES = 1000;
const REFRESH_MS = 3_600_000;

interface Entry {
  readonly certificate: EdgeCertificate;
  readonly context: SecureContext;
}

/** Contexts of OpenSSL for what a provider gives, made once for each certificate. */
export class TlsContexts {
  readonly #provider: CertificateProvider;
  readonly #byName = new Map<string, Entry>();
  #default: EdgeCertificate | undefined;
  #checkedAt = 0;

  constructor(provider: CertificateProvider) {
    this.#provider = provider;
  }

  /** For clients that ask for no name. */
  get current(): EdgeCertificate {
    if (this.#default === undefined) throw new Error("refresh first");
    return this.#default;
  }

  /** Asks the provider for the default certificate. */
  async refresh(): Promise<void> {
    this.#checkedAt = Date.now();
    this.#default = await this.#provider.certificate(undefined);
  }

  /** Gives the server a new default certificate if there is one; asks once an hour at most. */
  async refreshDefault(server: Server): Promise<void> {
    if (Date.now() - this.#checkedAt < REFRESH_MS) return;
    const before = this.#default;
    await this.refresh();
    if (this.#default?.cert !== before?.cert) server.setSecureContext(this.current);
  }

  /** For the name of a client's SNI. */
  async forName(name: string): Promise<SecureContext> {
    const key = name.toLowerCase();
    const certificate = await this.#provider.certificate(key);
    const known = this.#byName.get(key);
    if (known?.certificate.cert === certificate.cert) return known.context;
    const context = createSecureContext({
      key: certificate.key,
      cert: certificate.cert,
      minVersion: "TLSv1.2",
    });
    const oldest = this.#byName.keys().next().value;
    if (this.#byName.size >= MAX_NAMES && oldest !== undefined) this.#byName.delete(oldest);
    this.#byName.set(key, { certificate, context });
    return context;
  }
}
