import { generateKeyPair, randomBytes, X509Certificate } from "node:crypto";
import { chmod, link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import type Forge from "node-forge";
import { ApiError } from "../errors.ts";

/** A key and its certificate with the chain above it, as PEM. */
export interface EdgeCertificate {
  readonly key: string;
  readonly cert: string;
}

/** Where the edge gets its certificates from. */
export interface CertificateProvider {
  /**
   * For the host name that the client asks for (SNI), or for none: clients that connect to an IP
   * address send no name. Called for every new name and about once an hour; answers from memory
   * where possible.
   */
  certificate(serverName: string | undefined): EdgeCertificate | Promise<EdgeCertificate>;
}

/** A certificate authority of this installation, see {@link openLocalAuthority}. */
export interface LocalAuthority extends CertificateProvider {
  /** What users give to `NODE_EXTRA_CA_CERTS` and `GIT_SSL_CAINFO`. */
  readonly caPath: string;
  readonly caPem: string;
}

/** Options of {@link openLocalAuthority}. */
export interface LocalAuthorityOptions {
  /** Made if absent, mode 0700. Holds the CA's key (`authority.pem`, 0600) and `ca.pem`. */
  readonly directory: string;
  /** Names and IP addresses beside `localhost`, `127.0.0.1` and `::1`. */
  readonly names?: readonly string[];
  /** ms since the epoch. Default `Date.now`. */
  readonly now?: () => number;
}

const DAY = 86_400_000;
const CA_DAYS = 3650;
/** Browsers refuse longer lives. */
const LEAF_DAYS = 397;
const RENEW_DAYS = 30;
const BUILT_IN = ["localhost", "127.0.0.1", "::1"] as const;

/**
 * Opens the installation's own certificate authority and makes it at the first start.
 *
 * The CA lives ten years and can sign leaves only. The leaf lives 397 days and is made anew when
 * it has less than 30 left or the names change, also while the platform runs.
 *
 * @throws ApiError `internal` when the files are there but can't be used
 */
export async function openLocalAuthority(options: LocalAuthorityOptions): Promise<LocalAuthority> {
  const now = options.now ?? Date.now;
  const names = [...new Set([...BUILT_IN, ...(options.names ?? [])])];
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const bundle = join(options.directory, "authority.pem");
  const caPath = join(options.directory, "ca.pem");
  const leafPath = join(options.directory, "leaf.pem");
  const authority = parseBundle(
    (await readIfThere(bundle)) ?? (await createOnce(bundle, await makeAuthority(now()))),
  );
  if (authority === undefined)
    throw new ApiError(
      "internal",
      `${bundle} does not hold a key and a certificate. Restore it, or delete it to get a new authority that users must trust anew.`,
    );
  await chmod(bundle, 0o600);
  await replace(caPath, authority.cert, 0o644);

  let leaf: EdgeCertificate | undefined;
  let renewal: Promise<EdgeCertificate> | undefined;
  const renew = async () => {
    const stored = leaf === undefined ? await readIfThere(leafPath) : undefined;
    const kept = stored === undefined ? undefined : parseBundle(stored);
    if (kept !== undefined && isFresh(kept.cert, authority.cert, names, now())) return kept;
    const made = await makeLeaf(authority, names, now());
    await replace(leafPath, made.key + made.cert, 0o600);
    return made;
  };
  const certificate = async () => {
    if (leaf !== undefined && isFresh(leaf.cert, authority.cert, names, now())) return leaf;
    renewal ??= renew().finally(() => {
      renewal = undefined;
    });
    leaf = await renewal;
    return leaf;
  };
  await certificate();
  return { caPath, caPem: authority.cert, certificate };
}

async function makeAuthority(now: number): Promise<string> {
  const forge = await loadForge();
  const { privateKey, publicKey } = await makeKeys();
  const subject = [
    { name: "commonName", value: `dynokit local CA ${randomBytes(4).toString("hex")}` },
    { name: "organizationName", value: "dynokit" },
  ];
  const certificate = draft(forge, publicKey, now, CA_DAYS);
  certificate.setSubject(subject);
  certificate.setIssuer(subject);
  certificate.setExtensions([
    { name: "basicConstraints", cA: true, pathLenConstraint: 0, critical: true },
    { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    { name: "subjectKeyIdentifier" },
  ]);
  return privateKey + sign(forge, certificate, privateKey);
}

async function makeLeaf(
  authority: EdgeCertificate,
  names: readonly string[],
  now: number,
): Promise<EdgeCertificate> {
  const forge = await loadForge();
  const { privateKey, publicKey } = await makeKeys();
  const issuer = forge.pki.certificateFromPem(authority.cert);
  const certificate = draft(forge, publicKey, now, LEAF_DAYS);
  certificate.setSubject([{ name: "commonName", value: names[0]! }]);
  certificate.setIssuer(issuer.subject.attributes);
  certificate.setExtensions([
    { name: "basicConstraints", cA: false, critical: true },
    { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
    { name: "extKeyUsage", serverAuth: true },
    {
      name: "subjectAltName",
      altNames: names.map((name) =>
        isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name },
      ),
    },
    { name: "subjectKeyIdentifier" },
    {
      name: "authorityKeyIdentifier",
      keyIdentifier: issuer.generateSubjectKeyIdentifier().getBytes(),
    },
  ]);
  return { key: privateKey, cert: sign(forge, certificate, authority.key) + authority.cert };
}

function sign(forge: typeof Forge, certificate: Forge.pki.Certificate, key: string): string {
  certificate.sign(forge.pki.privateKeyFromPem(key), forge.md.sha256.create());
  return forge.pki.certificateToPem(certificate).replaceAll("\r\n", "\n");
}

function draft(
  forge: typeof Forge,
  publicKey: string,
  now: number,
  days: number,
): Forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  // Positive and never zero, as RFC 5280 §4.1.2.2 asks.
  certificate.serialNumber = `4${randomBytes(15).toString("hex").slice(1)}`;
  // Clocks of clients may be behind.
  certificate.validity.notBefore = new Date(now - DAY);
  certificate.validity.notAfter = new Date(now + days * DAY);
  return certificate;
}

/** Loaded when an authority is opened: 1.6 MB that users with certificates of their own never need. */
async function loadForge(): Promise<typeof Forge> {
  return (await import("node-forge")).default;
}

async function makeKeys(): Promise<{ privateKey: string; publicKey: string }> {
  return await promisify(generateKeyPair)("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    // The one form that node-forge and OpenSSL both read.
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
}

function isFresh(chain: string, ca: string, names: readonly string[], now: number): boolean {
  try {
    const leaf = new X509Certificate(chain);
    return (
      Date.parse(leaf.validTo) - now > RENEW_DAYS * DAY &&
      Date.parse(leaf.validFrom) <= now &&
      leaf.verify(new X509Certificate(ca).publicKey) &&
      names.every((name) => (isIP(name) === 0 ? leaf.checkHost(name) : leaf.checkIP(name)))
    );
  } catch {
    // A file of ours that can't be read is as good as none: the leaf can always be made again.
    return false;
  }
}

function parseBundle(text: string): EdgeCertificate | undefined {
  const key = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]+?-----END \1-----\n?/.exec(text)?.[0];
  const start = text.indexOf("-----BEGIN CERTIFICATE-----");
  if (key === undefined || start < 0) return undefined;
  return { key: key.endsWith("\n") ? key : `${key}\n`, cert: text.slice(start) };
}

/** Two processes may start at once: the first to link its file wins and both use that. */
async function createOnce(path: string, content: string): Promise<string> {
  const part = `${path}.${randomBytes(6).toString("hex")}`;
  await writeFile(part, content, { mode: 0o600, flag: "wx" });
  try {
    await link(part, path);
    return content;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return await readFile(path, "utf8");
  } finally {
    await rm(part, { force: true });
  }
}

async function replace(path: string, content: string, mode: number): Promise<void> {
  const part = `${path}.${randomBytes(6).toString("hex")}`;
  await writeFile(part, content, { mode, flag: "wx" });
  await rename(part, path);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
