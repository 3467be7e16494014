import PQueue from "p-queue";
import { messageOf, type Platform, systemActor } from "../platform/platform.ts";
import { endRun } from "../platform/runs.ts";
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
      if (event.to === "complete") await endRun(this.#platform, event.id, event.exit);
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
          size: await this.#sizeOf(event),
          state: event.to,
          createdAt: event.at,
          updatedAt: event.at,
        }),
        cause: event.cause,
        ...(event.code === undefined ? {} : { code: event.code }),
        ...(event.exit === undefined
          ? {}
          : { exit_code: event.exit.exitCode, signal: event.exit.signal }),
        release: { id: release.id, version: release.version },
      };
      await this.#platform.write(systemActor, async (unit) => {
        unit.event({
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

  /** Of the dyno while it is there, else of its process type or run. */
  async #sizeOf({ app, id, type }: DynoEventPort): Promise<string> {
    const { manifold, db, defaultSize } = this.#platform;
    const live = manifold.ps(app).find((dyno) => dyno.id === id);
    if (live) return live.size;
    const run = await db.selectFrom("runs").select("size").where("id", "=", id).executeTakeFirst();
    const process = await db
      .selectFrom("processes")
      .select("size")
      .where("app_id", "=", app)
      .where("type", "=", type)
      .executeTakeFirst();
    return run?.size ?? process?.size ?? defaultSize;
  }

  /** Stops listening; what waits is written. */
  async close(): Promise<void> {
    this.#platform.manifold.off("dyno", this.#listener);
    await this.#queue.onIdle();
  }
}
