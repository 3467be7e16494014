import { channel } from "node:diagnostics_channel";
import { EventEmitter } from "eventemitter3";
import type { Clock } from "../clock.ts";
import { logLines } from "../log-lines.ts";
import type { Logger } from "../logger.ts";
import type { DynoEvent, LogSink } from "../types.ts";
import { messageOf } from "./host.ts";

/** Every transition of every manifold of the process; free when nobody subscribes. */
const transitions = channel("dynokit:manifold:dyno");

/** Tells the world about transitions: log lines, listeners, diagnostics. */
export class Announcer {
  readonly emitter = new EventEmitter<{ dyno: [event: DynoEvent] }>();
  readonly #logs: LogSink | undefined;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #encoder = new TextEncoder();

  constructor(logs: LogSink | undefined, clock: Clock, logger: Logger) {
    this.#logs = logs;
    this.#clock = clock;
    this.#logger = logger;
  }

  publish(event: DynoEvent): void {
    if (this.#logs) this.writeLines(event.app, event.dyno, logLines(event));
    if (transitions.hasSubscribers) transitions.publish(event);
    for (const listener of this.emitter.listeners("dyno")) {
      try {
        listener(event);
      } catch (error) {
        this.#logger.error({ error: messageOf(error) }, "a listener of dyno events threw");
      }
    }
  }

  /** Lines of the platform about a dyno. */
  writeLines(app: string, dyno: string, lines: readonly string[]): void {
    if (!this.#logs || lines.length === 0) return;
    const failed = (error: unknown) =>
      this.#logger.error({ app, dyno, error: messageOf(error) }, "log sink failed");
    try {
      const written = this.#logs.write({
        channel: app,
        source: "heroku",
        proc: dyno,
        lines: lines.map((line) => this.#encoder.encode(line)),
        at: this.#clock.now(),
      });
      // Few and small: they do not wait for the sink, whose own limits count what it cannot take.
      if (written !== undefined) written.catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}
