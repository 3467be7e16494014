import type { Socket } from "node:net";

/** Counts the open connections of each token (spec/logplex.md §13.5). */
export class ConnectionsPerToken {
  readonly #most: number;
  readonly #open = new Map<string, number>();
  /** The tokens that each connection counts for. */
  readonly #admitted = new WeakMap<Socket, Set<string>>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Counts a connection for its token, once; false when the token has too many. */
  admit(socket: Socket, token: string): boolean {
    const admitted = this.#admitted.get(socket);
    if (admitted?.has(token)) return true;
    const open = this.#open.get(token) ?? 0;
    if (open >= this.#most) return false;
    this.#open.set(token, open + 1);
    if (admitted !== undefined) {
      admitted.add(token);
      return true;
    }
    // One listener for all tokens of a connection, which may be thousands.
    const tokens = new Set([token]);
    this.#admitted.set(socket, tokens);
    socket.on("close", () => {
      for (const one of tokens) this.#leave(one);
    });
    return true;
  }

  #leave(token: string): void {
    const left = (this.#open.get(token) ?? 1) - 1;
    if (left > 0) this.#open.set(token, left);
    else this.#open.delete(token);
  }
}
