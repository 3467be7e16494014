import type { Clock } from "../clock.ts";
import { sleep } from "../clock.ts";
import type { DriverSession, DynoDriver } from "../driver/contract.ts";

/** ms that what an ended one-off printed is kept for a client that has not read it all. */
const keptMs = 30_000;

/**
 * The streams of a dyno that just started. A command may be over before anyone could attach to it:
 * then its whole output and its result come from what the driver kept.
 */
export async function attachFirst(
  driver: DynoDriver,
  id: string,
  tty: boolean,
): Promise<DriverSession> {
  try {
    return await (driver.attach as NonNullable<DynoDriver["attach"]>)(id);
  } catch (error) {
    if (!driver.capabilities().logs || !driver.logs) throw error;
    return replay(driver, id, tty);
  }
}

function replay(driver: DynoDriver, id: string, tty: boolean): DriverSession {
  const lineEnd = new TextEncoder().encode(tty ? "\r\n" : "\n");
  return {
    output: (async function* () {
      for await (const { stream, bytes, partial } of driver.logs?.(id) ?? []) {
        if (stream === "notice") continue;
        yield { stream, bytes: partial ? bytes : Buffer.concat([bytes, lineEnd]) };
      }
    })(),
    async write() {},
    async end() {},
    async resize() {},
    async signal() {},
    wait: () => driver.wait(id),
    async close() {},
  };
}

/**
 * The output of a session for one client after the other: what one did not read is the next one's.
 */
export class SharedOutput {
  readonly #iterator: AsyncIterator<Output>;
  /** Asked for by a client that went before it came. */
  #pending: Promise<IteratorResult<Output>> | undefined;
  #leave: () => void = () => {};

  constructor(session: DriverSession) {
    this.#iterator = session.output[Symbol.asyncIterator]();
  }

  /** Ends the client before. */
  async *read(): AsyncGenerator<Output> {
    this.#leave();
    let gone = false;
    const left = new Promise<void>((resolve) => {
      this.#leave = () => {
        gone = true;
        resolve();
      };
    });
    for (;;) {
      this.#pending ??= this.#iterator.next();
      const next = await Promise.race([this.#pending, left]);
      if (gone || !next) return;
      this.#pending = undefined;
      if (next.done) return;
      yield next.value;
    }
  }

  /** The client went: what it still waits for is kept. */
  leave(): void {
    this.#leave();
  }
}

type Output = { readonly stream: "stdout" | "stderr"; readonly bytes: Uint8Array };

/** Tells when the output of a one-off was read, so that nothing of it is removed before. */
export class Reading {
  #open = 0;
  /** Clients that went and may come back. */
  #away = 0;
  readonly #over = new AbortController();

  /**
   * A session whose end of output, or close, ends the reading; with `mayReturn` a close does not,
   * and the next session goes on for it.
   */
  follow(
    session: DriverSession,
    output: AsyncIterable<Output>,
    close: () => Promise<void>,
    mayReturn: boolean,
  ): DriverSession {
    if (this.#away > 0) this.#away--;
    else this.#open++;
    let ended = false;
    const end = () => {
      if (ended) return;
      ended = true;
      if (--this.#open === 0) this.#over.abort();
    };
    return {
      output: {
        async *[Symbol.asyncIterator]() {
          try {
            yield* output;
          } finally {
            end();
          }
        },
      },
      write: (bytes) => session.write(bytes),
      end: () => session.end(),
      resize: (size) => session.resize(size),
      signal: (name) => session.signal(name),
      wait: () => session.wait(),
      close: async () => {
        if (!mayReturn) end();
        else if (!ended) {
          ended = true;
          this.#away++;
        }
        await close();
      },
    };
  }

  /** Resolves when all is read, after a while in any case, or when `signal` aborts. */
  async finished(clock: Clock, signal: AbortSignal): Promise<void> {
    if (this.#over.signal.aborted || signal.aborted) return;
    await sleep(clock, keptMs, AbortSignal.any([this.#over.signal, signal]));
  }
}
