import PQueue from "p-queue";
import { BuilderError } from "./errors.ts";

/**
 * Runs builds: one at a time for each app, `concurrency` at a time for the host, so that builds
 * don't starve running apps (feature-table.md, demand 11). What is beyond `maxQueued` is refused.
 */
export class BuildQueue {
  readonly #host: PQueue;
  readonly #apps = new Map<string, PQueue>();
  readonly #maxQueued: number;
  #queued = 0;

  constructor(options: { readonly concurrency: number; readonly maxQueued: number }) {
    this.#host = new PQueue({ concurrency: options.concurrency });
    this.#maxQueued = options.maxQueued;
  }

  /** Builds that wait for their turn. */
  get queued(): number {
    return this.#queued;
  }

  /**
   * Resolves and rejects as `task` does. An abort while the task waits rejects at once with
   * `cancelled`; a running task must see to the signal itself.
   *
   * @throws BuilderError `queue-full`, `cancelled`
   */
  run<T>(app: string, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    if (signal.aborted) return Promise.reject(cancelled());
    if (this.#queued >= this.#maxQueued)
      return Promise.reject(
        new BuilderError(
          "queue-full",
          `${this.#queued} builds wait already. Try again when some of them have finished.`,
          { details: { limit: this.#maxQueued } },
        ),
      );
    const queue = this.#queueOf(app);
    this.#queued += 1;
    return new Promise<T>((resolve, reject) => {
      let waiting = true;
      const leave = () => {
        if (!waiting) return;
        waiting = false;
        this.#queued -= 1;
        signal.removeEventListener("abort", onAbort);
      };
      const onAbort = () => {
        leave();
        reject(cancelled());
      };
      signal.addEventListener("abort", onAbort);
      const start = async () => {
        if (!waiting) return;
        leave();
        await task().then(resolve, reject);
      };
      queue
        .add(async () => {
          if (waiting) await this.#host.add(start);
        })
        .catch(reject)
        .finally(() => {
          if (queue.size === 0 && queue.pending === 0 && this.#apps.get(app) === queue)
            this.#apps.delete(app);
        });
    });
  }

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    await Promise.all([...this.#apps.values()].map((queue) => queue.onIdle()));
    await this.#host.onIdle();
  }

  #queueOf(app: string): PQueue {
    let queue = this.#apps.get(app);
    if (queue === undefined) {
      queue = new PQueue({ concurrency: 1 });
      this.#apps.set(app, queue);
    }
    return queue;
  }
}

function cancelled(): BuilderError {
  return new BuilderError("cancelled", "The build was cancelled before it began.");
}
