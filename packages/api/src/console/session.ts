import type { IncomingMessage } from "node:http";
import type { Clock } from "../clock.ts";
import type { SecretBox } from "../secrets.ts";

const cookieName = "dynokit_console";
const context = "console-session";
/** A session ends after this long, or with its token. */
const lifeMs = 12 * 60 * 60 * 1000;

/**
 * The cookie of the console holds the token sealed with the store's key: the page cannot read it,
 * a stolen backup of the browser's profile has no token in it, and a revoked token ends the session.
 */
export class ConsoleSessions {
  readonly #secrets: SecretBox;
  readonly #clock: Clock;

  constructor(secrets: SecretBox, clock: Clock) {
    this.#secrets = secrets;
    this.#clock = clock;
  }

  /** `Set-Cookie` that begins a session. */
  begin(token: string, secure: boolean): string {
    const until = this.#clock.now() + lifeMs;
    const value = this.#secrets.seal(JSON.stringify({ token, until }), context);
    return cookie(encodeURIComponent(value), lifeMs / 1000, secure);
  }

  /** `Set-Cookie` that ends one. */
  end(secure: boolean): string {
    return cookie("", 0, secure);
  }

  /** The token of a request's session. */
  tokenOf(request: IncomingMessage): string | undefined {
    for (const part of (request.headers.cookie ?? "").split(";")) {
      const [name, value = ""] = part.trim().split("=", 2);
      if (name !== cookieName || value === "") continue;
      try {
        const text = this.#secrets.open(decodeURIComponent(value), context);
        const { token, until } = JSON.parse(text) as { token: string; until: number };
        return until > this.#clock.now() ? token : undefined;
      } catch {
        return undefined; // Not sealed by this store, or cut: the same as no session.
      }
    }
    return undefined;
  }
}

function cookie(value: string, maxAge: number, secure: boolean): string {
  const attributes = `Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Strict${secure ? "; Secure" : ""}`;
  return `${cookieName}=${value}; ${attributes}`;
}
