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

/** Tells when the output of a one-off was read, so that nothing of it is removed before. */
export class Reading {
  #open = 0;
  readonly #over = new AbortController();

  /** A session whose end of output, or close, ends the reading. */
  follow(session: DriverSession, close: () => Promise<void>): DriverSession {
    this.#open++;
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
            yield* session.output;
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
        end();
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
