import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Head } from "../codec/head.ts";
import type { AppRoute } from "../table/app-route.ts";
import type { Backend } from "../table/backend.ts";
import type { Exchange } from "./exchange.ts";
import { cookieValue } from "./fields.ts";

const VERSION = "1";

/**
 * Session affinity by cookie (spec/router.md §17). The value names a dyno by a keyed digest, so
 * it shows neither address nor name, and cannot be made by a client.
 */
export class Affinity {
  readonly #keys: readonly Buffer[];
  readonly #compat: boolean;

  /** @param keys - The first signs; all are accepted. Routers that share sessions share keys. */
  constructor(keys: readonly Buffer[] | null, compat: boolean) {
    this.#keys = keys ?? [randomBytes(32)];
    this.#compat = compat;
  }

  /** Name of the cookie for this exchange. */
  cookieName(exchange: Exchange): string {
    const settings = (exchange.app as AppRoute).settings.affinity;
    if (settings?.cookie != null) return settings.cookie;
    if (this.#compat) return "heroku-session-affinity";
    return exchange.identity.scheme === "https" ? "__Host-affinity" : "affinity";
  }

  #value(key: Buffer, app: AppRoute, backend: Backend): string {
    const digest = createHmac("sha256", key).update(`${app.id}\0${backend.id}`).digest("base64url");
    return `${VERSION}.${digest.slice(0, 32)}`;
  }

  /** The backend of the session, or null; also prepares the cookie of the answer. */
  find(exchange: Exchange): Backend | null {
    const app = exchange.app as AppRoute;
    if (app.settings.affinity === null) return null;
    const value = cookieValue(exchange.head as Head, this.cookieName(exchange));
    if (value === null) {
      exchange.affinity = "new";
      return null;
    }
    const now = exchange.engine.clock.monotonic();
    for (const backend of app.backends.values()) {
      // A session stays with its dyno while that drains; new sessions do not go there.
      if (backend.state !== "up" && backend.state !== "draining") continue;
      if (!this.#keys.some((key) => same(value, this.#value(key, app, backend)))) continue;
      if (backend.ejectedUntil > now || backend.quarantinedUntil > now) break;
      if (backend.inFlight >= app.settings.concurrency) break;
      exchange.affinity = "hit";
      return backend;
    }
    exchange.affinity = "miss";
    return null;
  }

  /** The `Set-Cookie` line for an answer, or nothing. */
  answerField(exchange: Exchange): string {
    const app = exchange.app as AppRoute;
    const settings = app.settings.affinity;
    const { backend } = exchange;
    if (settings === null || backend === null || exchange.affinity === "hit") return "";
    const secure = exchange.identity.scheme === "https" ? "; Secure" : "";
    const age = settings.maxAgeSeconds > 0 ? `; Max-Age=${settings.maxAgeSeconds}` : "";
    return (
      `Set-Cookie: ${this.cookieName(exchange)}=${this.#value(this.#keys[0] as Buffer, app, backend)}` +
      `; Path=/; HttpOnly; SameSite=${settings.sameSite}${secure}${age}\r\n`
    );
  }
}

function same(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
