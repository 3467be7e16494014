import PQueue from "p-queue";
import { messageOf, type Platform, systemActor } from "../platform/platform.ts";
import type { DynoEventPort } from "../ports.ts";
import { presentDyno } from "../resources/dyno.ts";

const maxWaiting = 10_000;
const ended = new Set(["complete", "down"]);

/**
 * Writes transitions of dynos to the audit trail, from where webhooks and `GET /events` get them.
 * Above 10 000 that wait, transitions are dropped and counted.
 */
export class DynoRecorder {
  readonly #platform: Platform;
  readonly #queue = new PQueue({ concurrency: 1 });
  readonly #listener = (event: DynoEventPort) => this.#take(event);
  /** By state that was entered. */
  readonly transitions = new Map<string, number>();
  dropped = 0;

  constructor(platform: Platform) {
    this.#platform = platform;
    platform.manifold.on("dyno", this.#listener);
  }

  #take(event: DynoEventPort): void {
    this.transitions.set(event.to, (this.transitions.get(event.to) ?? 0) + 1);
    // Steps within a start or a stop are of no use to a subscriber.
    if (event.to === "provisioning" || event.to === "stopping") return;
    if (this.#queue.size >= maxWaiting) {
      this.dropped++;
      return;
    }
    void this.#queue.add(() => this.#record(event));
  }

  async #record(event: DynoEventPort): Promise<void> {
    try {
      const app = await this.#platform.db
        .selectFrom("apps")
        .selectAll()
        .where("id", "=", event.app)
        .executeTakeFirst();
      if (!app) return;
      const { release } = event;
      const data = {
        ...presentDyno(app, {
          ...event,
          command: event.command ?? "",
          size: this.#platform.defaultSize,
          state: event.to,
          createdAt: event.at,
          updatedAt: event.at,
        }),
        cause: event.cause,
        ...(event.code === undefined ? {} : { code: event.code }),
        ...(event.exit === undefined ? {} : { exit_code: event.exit.exitCode }),
        release: { id: release.id, version: release.version },
      };
      await this.#platform.write(systemActor, async (unit) => {
        await unit.event({
          app: app.id,
          resource: "dyno",
          action: event.to === "starting" ? "create" : ended.has(event.to) ? "destroy" : "update",
          data,
          previous: event.from === null ? {} : { state: event.from },
        });
      });
    } catch (error) {
      this.#platform.logger.warn({ error: messageOf(error) }, "a dyno event was not recorded");
    }
  }

  /** Stops listening; what waits is written. */
  async close(): Promise<void> {
    this.#platform.manifold.off("dyno", this.#listener);
    await this.#queue.onIdle();
  }
}
