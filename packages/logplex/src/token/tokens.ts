import { createHash } from "node:crypto";
import type { RandomBytes } from "../clock.ts";
import { LogplexError } from "../errors.ts";
import { uuid } from "../session/sessions.ts";

/** A right to write to one channel. */
export interface Token {
  /** `t.` and a UUID; the secret itself. */
  readonly id: string;
  readonly channel: string;
  /** The source of what is written with it. */
  readonly name: string;
  /** May use the procids `router`, `api` and `logplex`; default for tokens named `heroku`. */
  readonly privileged: boolean;
}

/** Options of {@link Logplex.createToken}. */
export interface TokenOptions {
  /** Default: `t.` and a random UUID. */
  readonly id?: string | undefined;
  /** Default: true for the name `heroku`. */
  readonly privileged?: boolean | undefined;
}

/** Digest under which a secret is looked up, so that comparing takes no time that tells anything. */
export function digest(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url");
}

/** Throws `bad-request` for a name that can't be a source. */
export function checkTokenName(name: string): void {
  // Brackets would let a name pass for another one's with its process.
  if (!/^[\x21-\x5a\x5e-\x7e]{1,64}$/.test(name))
    throw new LogplexError(
      "bad-request",
      `Token name ${JSON.stringify(name.slice(0, 80))} is not usable as a source; use 1 to 64 printable ASCII characters without spaces, brackets and backslashes.`,
    );
}

/** All tokens of a router. Two tokens of one name may live together, for rotation. */
export class Tokens {
  /** Changes with every change, so that a reader knows when to look again. */
  version = 0;
  readonly #byDigest = new Map<string, Token>();
  readonly #byChannel = new Map<string, Set<string>>();
  readonly #random: RandomBytes;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  create(channel: string, name: string, options: TokenOptions = {}): Token {
    checkTokenName(name);
    const id = options.id ?? `t.${uuid(this.#random(16))}`;
    if (!/^t\.[\x21-\x7e]{8,128}$/.test(id))
      throw new LogplexError(
        "bad-request",
        "The given token id is not usable; write t. and a UUID, or leave it out.",
      );
    const key = digest(id);
    const existing = this.#byDigest.get(key);
    if (existing !== undefined && existing.channel !== channel)
      throw new LogplexError(
        "conflict",
        "This token id belongs to another channel; choose another.",
      );
    this.version += 1;
    const token = { id, channel, name, privileged: options.privileged ?? name === "heroku" };
    this.#byDigest.set(key, token);
    let keys = this.#byChannel.get(channel);
    if (keys === undefined) {
      keys = new Set();
      this.#byChannel.set(channel, keys);
    }
    keys.add(key);
    return token;
  }

  /** The token of a secret. */
  find(id: string): Token | undefined {
    return this.#byDigest.get(digest(id));
  }

  /** False when there was none. */
  revoke(id: string): boolean {
    const key = digest(id);
    const token = this.#byDigest.get(key);
    if (token === undefined) return false;
    this.version += 1;
    this.#byDigest.delete(key);
    this.#byChannel.get(token.channel)?.delete(key);
    return true;
  }

  /** Tokens of a channel, oldest first. */
  of(channel: string): Token[] {
    return [...(this.#byChannel.get(channel) ?? [])].map((key) => this.#byDigest.get(key)!);
  }

  deleteChannel(channel: string): void {
    this.version += 1;
    for (const key of this.#byChannel.get(channel) ?? []) this.#byDigest.delete(key);
    this.#byChannel.delete(channel);
  }
}
