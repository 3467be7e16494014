import { createHmac, timingSafeEqual } from "node:crypto";

/** What a session URL is bound to. */
export interface SessionClaims {
  readonly id: string;
  readonly channel: string;
  readonly source?: string;
  readonly dyno?: string;
  readonly type?: string;
  readonly query?: string;
  readonly lines: number;
  readonly tail: boolean;
  /** ms. */
  readonly sortMs?: number;
  /** May be opened more than once even without tail. */
  readonly resume: boolean;
  /** ms since the epoch: unopened, it is void from then on. */
  readonly expiresAt: number;
}

function mac(key: Uint8Array, payload: string): Buffer {
  return createHmac("sha256", key).update(payload).digest();
}

/** A capability: the claims and their HMAC, safe in a path. */
export function signSession(key: Uint8Array, claims: SessionClaims): string {
  const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
  return `${payload}.${mac(key, payload).toString("base64url")}`;
}

/** The claims of a secret of ours, or undefined. */
export function verifySession(key: Uint8Array, secret: string): SessionClaims | undefined {
  const dot = secret.indexOf(".");
  if (dot <= 0 || secret.length > 16_384) return undefined;
  const payload = secret.slice(0, dot);
  const given = Buffer.from(secret.slice(dot + 1), "base64url");
  const expected = mac(key, payload);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  // The HMAC is ours, so the payload is what signSession wrote.
  return JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as SessionClaims;
}
