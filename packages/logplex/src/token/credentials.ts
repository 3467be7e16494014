import { timingSafeEqual } from "node:crypto";
import type { RandomBytes } from "../clock.ts";
import { LogplexError } from "../errors.ts";
import { digest } from "./tokens.ts";

/** What a credential allows (spec/logplex.md §6). */
export type Permission = "full_api" | "any_channel" | "channel";

/** Options of {@link Logplex.createCredential}. */
export interface CredentialOptions {
  readonly permissions: readonly Permission[];
  /** Default: 16 random bytes in hex. */
  readonly id?: string | undefined;
  /** Default: 32 random bytes in hex. */
  readonly password?: string | undefined;
}

/** Only here is the password visible: it is kept hashed. */
export interface Credential {
  readonly id: string;
  readonly password: string;
  readonly permissions: readonly Permission[];
}

interface Kept {
  readonly digest: Buffer;
  readonly permissions: ReadonlySet<Permission>;
}

const MAX_CREDENTIALS = 10_000;
const NOBODY = Buffer.from(digest(""));

/** Rights that span channels: writing to any of them and the management API. */
export class Credentials {
  readonly #kept = new Map<string, Kept>();
  readonly #random: RandomBytes;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  create(options: CredentialOptions): Credential {
    if (this.#kept.size >= MAX_CREDENTIALS)
      throw new LogplexError(
        "limit-reached",
        `There are ${MAX_CREDENTIALS} credentials, the limit; revoke some.`,
      );
    const id = options.id ?? Buffer.from(this.#random(16)).toString("hex");
    const password = options.password ?? Buffer.from(this.#random(32)).toString("hex");
    if (id === "" || id.includes(":") || id === "token")
      throw new LogplexError(
        "bad-request",
        `Credential id ${JSON.stringify(id)} is not usable; leave out the colon and the word token.`,
      );
    const permissions = new Set(options.permissions);
    this.#kept.set(id, { digest: Buffer.from(digest(password)), permissions });
    return { id, password, permissions: [...permissions] };
  }

  /** False when there was none. */
  revoke(id: string): boolean {
    return this.#kept.delete(id);
  }

  /** The permissions of a right id and password; takes the same time for an unknown id. */
  check(id: string, password: string): ReadonlySet<Permission> | undefined {
    const kept = this.#kept.get(id);
    const equal = timingSafeEqual(Buffer.from(digest(password)), kept?.digest ?? NOBODY);
    return equal ? kept?.permissions : undefined;
  }
}
