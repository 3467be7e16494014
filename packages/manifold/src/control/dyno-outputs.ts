import { sleep } from "../clock.ts";
import type { DynoDriver } from "../driver/contract.ts";
import type { LogSink } from "../types.ts";
import type { Host } from "./host.ts";
import { pumpLogs } from "./log-pump.ts";

/** ms that a slow log sink has to take the last output of a dyno before that is removed. */
const lateOutputMs = 30_000;

/** Output on its way to the sink, by the dyno's id; it may take longer than the dyno lives. */
export class DynoOutputs {
  readonly #host: Host;
  readonly #under = new Map<string, { done: Promise<void>; end: AbortController }>();

  constructor(host: Host) {
    this.#host = host;
  }

  /** Carries the output of a dyno; resolves when that has ended. */
  follow(
    sink: LogSink,
    driver: DynoDriver,
    dyno: { readonly app: string; readonly name: string; readonly id: string },
  ): Promise<void> {
    const end = new AbortController();
    const done = pumpLogs(this.#host, sink, driver, dyno, end.signal).finally(() =>
      this.#under.delete(dyno.id),
    );
    this.#under.set(dyno.id, { done, end });
    return done;
  }

  /** Whether the sink took all output of the dyno, which ended. What it did not take in time it gets no more. */
  async delivered(id: string, reason: Error): Promise<boolean> {
    const output = this.#under.get(id);
    if (!output) return true;
    const { clock, closed } = this.#host;
    const over = new AbortController();
    const late = sleep(clock, lateOutputMs, AbortSignal.any([over.signal, closed]));
    const delivered = await Promise.race([output.done.then(() => true), late.then(() => false)]);
    over.abort();
    output.end.abort(reason);
    return delivered;
  }

  stop(reason: Error): void {
    for (const { end } of this.#under.values()) end.abort(reason);
  }
}
