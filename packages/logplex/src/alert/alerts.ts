import type { Channel } from "../channel/channel.ts";
import type { Clock } from "../clock.ts";
import type { DrainSet } from "../drain/index.ts";
import { type Alert, type AlertOptions, startAlert } from "./alert.ts";
import { Webhook } from "./webhook.ts";

/** The rules of a router, with their webhooks. */
export class Alerts {
  readonly #clock: Clock;
  readonly #poster: DrainSet["poster"];
  readonly #running = new Set<Alert>();

  /** `poster` makes what posts to a webhook, under the rules of drains. */
  constructor(clock: Clock, poster: DrainSet["poster"]) {
    this.#clock = clock;
    this.#poster = poster;
  }

  /** Starts a rule. Throws `bad-query`, `bad-request` and `bad-drain-url`. */
  add(channel: Channel, options: AlertOptions): Alert {
    const alert = this.#start(channel, options);
    this.#running.add(alert);
    return {
      get raised() {
        return alert.raised;
      },
      get failures() {
        return alert.failures;
      },
      close: () => {
        this.#running.delete(alert);
        alert.close();
      },
    };
  }

  #start(channel: Channel, options: AlertOptions): Alert {
    const { webhook: url, onAlert } = options;
    if (url === undefined) return startAlert(channel, this.#clock, options);
    const webhook = new Webhook(this.#poster(url), this.#clock, Math.random);
    const alert = startAlert(channel, this.#clock, {
      ...options,
      onAlert: async (event) => {
        await Promise.all([onAlert?.(event), webhook.send(event)]);
      },
    });
    return {
      get raised() {
        return alert.raised;
      },
      get failures() {
        return alert.failures;
      },
      close() {
        alert.close();
        webhook.close();
      },
    };
  }

  /** Ends all. */
  close(): void {
    for (const alert of this.#running) alert.close();
  }
}
