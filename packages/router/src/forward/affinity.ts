import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import type { Head } from "../codec/head.ts";
import type { AppRoute } from "../table/app-route.ts";
import type { Backend } from "../table/backend.ts";
import type { Exchange } from "./exchange/exchange.ts";
import { cookieValue } from "./fields.ts";

const VERSION = 1;
const KEY_ID_BYTES = 4;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const PREFIX_BYTES = 1 + KEY_ID_BYTES;
const MAX_COOKIE = 4096;

interface Key {
  readonly id: Buffer;
  readonly secret: Buffer;
}

/** What a cookie says once it is opened. */
interface Session {
  readonly app: string;
  readonly backend: string;
  /** ms since the epoch. */
  readonly issuedAt: number;
}

/**
 * Session affinity by cookie (spec/router.md §17). The value is sealed with AES-256-GCM over app,
 * dyno and issue time: it shows neither address nor name, a client can make none, and one of
 * another app is worth nothing.
 */
export class Affinity {
  readonly #keys: readonly Key[];
  readonly #compat: boolean;

  /** @param keys - The first seals; all are accepted. Routers that share sessions share keys. */
  constructor(keys: readonly Buffer[] | null, compat: boolean) {
    this.#keys = (keys ?? [randomBytes(32)]).map((key) => {
      const secret = createHash("sha256").update("dynokit affinity\0").update(key).digest();
      const id = createHash("sha256").update("id\0").update(secret).digest();
      return { id: id.subarray(0, KEY_ID_BYTES), secret };
    });
    this.#compat = compat;
  }

  /** Name of the cookie for this exchange. */
  cookieName(exchange: Exchange): string {
    const settings = (exchange.app as AppRoute).settings.affinity;
    if (settings?.cookie != null) return settings.cookie;
    if (this.#compat) return "heroku-session-affinity";
    return exchange.identity.scheme === "https" ? "__Host-affinity" : "affinity";
  }

  #seal(session: Session): string {
    const { id, secret } = this.#keys[0] as Key;
    const prefix = Buffer.concat([Buffer.of(VERSION), id]);
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv("aes-256-gcm", secret, iv).setAAD(prefix);
    const text = `${session.issuedAt}\0${session.app}\0${session.backend}`;
    return Buffer.concat([
      prefix,
      iv,
      cipher.update(text, "utf8"),
      cipher.final(),
      cipher.getAuthTag(),
    ]).toString("base64url");
  }

  #open(value: string): Session | null {
    if (value.length > MAX_COOKIE) return null;
    const octets = Buffer.from(value, "base64url");
    if (octets.length < PREFIX_BYTES + IV_BYTES + TAG_BYTES || octets[0] !== VERSION) return null;
    const prefix = octets.subarray(0, PREFIX_BYTES);
    const key = this.#keys.find(({ id }) => id.equals(prefix.subarray(1)));
    if (key === undefined) return null;
    const body = PREFIX_BYTES + IV_BYTES;
    const end = octets.length - TAG_BYTES;
    const iv = octets.subarray(PREFIX_BYTES, body);
    const decipher = createDecipheriv("aes-256-gcm", key.secret, iv, { authTagLength: TAG_BYTES });
    decipher.setAAD(prefix).setAuthTag(octets.subarray(end));
    try {
      const text = decipher.update(octets.subarray(body, end)).toString() + decipher.final("utf8");
      const [issuedAt = "", app = "", backend = ""] = text.split("\0");
      return { app, backend, issuedAt: Number(issuedAt) };
    } catch {
      // Forged, or cut short: as good as no cookie.
      return null;
    }
  }

  /** The backend that the session is bound to, or null when there is no session. */
  #bound(exchange: Exchange, value: string): Backend | undefined {
    const app = exchange.app as AppRoute;
    const session = this.#open(value);
    if (session === null || session.app !== app.id) return undefined;
    const age = exchange.engine.clock.now() - session.issuedAt;
    const maxAge = (app.settings.affinity?.maxAgeSeconds ?? 0) * 1000;
    return maxAge > 0 && age > maxAge ? undefined : app.backends.get(session.backend);
  }

  /**
   * The backend of the session, or null; also decides about the cookie of the answer. `full` means
   * that the backend of the session is there but has no place; it may be waited for.
   */
  find(exchange: Exchange): Backend | "full" | null {
    const app = exchange.app as AppRoute;
    if (app.settings.affinity === null) return null;
    const value = cookieValue(exchange.head as Head, this.cookieName(exchange));
    if (value === null) {
      exchange.affinity = "new";
      return null;
    }
    exchange.affinity = "miss";
    const backend = this.#bound(exchange, value);
    const now = exchange.engine.clock.monotonic();
    // A session stays with its dyno while that drains; new sessions do not go there.
    if (backend === undefined || !(backend.state === "up" || backend.keepsSessions)) return null;
    if (backend.unhealthy || backend.ejectedUntil > now || backend.quarantinedUntil > now)
      return null;
    if (backend.inFlight >= app.settings.concurrency) return "full";
    exchange.affinity = "hit";
    return backend;
  }

  /** The `Set-Cookie` line for an answer, or nothing. */
  answerField(exchange: Exchange): string {
    const app = exchange.app as AppRoute;
    const settings = app.settings.affinity;
    const { backend } = exchange;
    if (settings === null || backend === null || exchange.affinity === "hit") return "";
    const secure = exchange.identity.scheme === "https" ? "; Secure" : "";
    const age = settings.maxAgeSeconds > 0 ? `; Max-Age=${settings.maxAgeSeconds}` : "";
    const value = this.#seal({
      app: app.id,
      backend: backend.id,
      issuedAt: exchange.engine.clock.now(),
    });
    return (
      `Set-Cookie: ${this.cookieName(exchange)}=${value}` +
      `; Path=/; HttpOnly; SameSite=${settings.sameSite}${secure}${age}\r\n`
    );
  }
}
