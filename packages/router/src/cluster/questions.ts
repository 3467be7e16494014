import type { FromWorker } from "./messages.ts";

const MOST = 256;
const WAIT_MS = 5000;

/**
 * Challenges of certificate authorities that the primary process answers for a worker. At most 256
 * are open and each for 5 s; what is beyond that has no answer, as if nobody knew the challenge.
 */
export class Questions {
  readonly #send: (message: FromWorker) => void;
  readonly #open = new Map<number, (value: unknown) => void>();
  #ids = 0;

  constructor(send: (message: FromWorker) => void) {
    this.#send = send;
  }

  /** Asks about a host name; `token` is that of HTTP-01 and null for TLS-ALPN-01. */
  ask<T>(hostname: string, token: string | null): Promise<T | undefined> {
    if (this.#open.size >= MOST) return Promise.resolve(undefined);
    const id = ++this.#ids;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.answered(id, undefined), WAIT_MS);
      timer.unref();
      this.#open.set(id, (value) => {
        clearTimeout(timer);
        resolve(value as T | undefined);
      });
      this.#send({ type: "challenge", id, hostname, token });
    });
  }

  /** The primary process answered; late answers are forgotten. */
  answered(id: number, value: unknown): void {
    const resolve = this.#open.get(id);
    this.#open.delete(id);
    resolve?.(value);
  }
}
