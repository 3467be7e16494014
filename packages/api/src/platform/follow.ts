import { reconcile } from "./desired.ts";
import { messageOf, type Platform } from "./platform.ts";
import { failUnfinished, stopCommands } from "./unfinished.ts";

const pollMs = 1000;

/**
 * Where several processes share a store: applies what the others changed to the neighbours of
 * this one, wakes the followers of events, and as the leader decides what dead ones left behind.
 */
export class ChangeFollower {
  readonly #platform: Platform;
  readonly #unsubscribe: () => void;
  #after = 0;
  #timer: unknown;
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(platform: Platform, after: number) {
    this.#platform = platform;
    this.#after = after;
    // Whoever takes the lead also takes what waits, such as deliveries to webhooks.
    this.#unsubscribe = platform.presence.onLeader(() => platform.events.wake());
    if (platform.presence.shared) this.#schedule();
  }

  /** From the events that there are now. */
  static async start(platform: Platform): Promise<ChangeFollower> {
    return new ChangeFollower(platform, await platform.events.lastSequence());
  }

  #schedule(): void {
    this.#timer = this.#platform.clock.setTimeout(() => {
      this.#work = this.#look()
        .catch((error: unknown) => {
          this.#platform.logger.warn(
            { error: messageOf(error) },
            "changes of other processes were not looked up",
          );
        })
        .finally(() => {
          if (!this.#closed) this.#schedule();
        });
    }, pollMs);
  }

  async #look(): Promise<void> {
    const platform = this.#platform;
    const apps = new Set<string>();
    let news = false;
    for (;;) {
      const page = await platform.events.after(this.#after);
      for (const event of page) {
        news ||= !platform.ownEvents.has(event.id);
        if (event.app_id !== null && !platform.ownEvents.has(event.id)) apps.add(event.app_id);
      }
      const last = page.at(-1)?.sequence;
      if (last === undefined) break;
      this.#after = last;
    }
    if (news) platform.events.wake();
    for (const app of apps) await reconcile(platform, app);
    if (platform.presence.leader) void stopCommands(platform, await failUnfinished(platform));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    this.#platform.clock.clearTimeout(this.#timer);
    await this.#work;
  }
}
