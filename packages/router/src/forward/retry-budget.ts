import type { AppRoute } from "../table/app-route.ts";
import type { Observer } from "./observer.ts";

const WINDOW_MS = 10_000;
const SHARE = 0.2;
/** Retries that an app with few requests may have within a window: 10 per second. */
const LEAST = 100;

interface Window {
  at: number;
  requests: number;
  retries: number;
}

/** How many retries an app may cause: 20 % of the requests of the last 10 s, at least 10 per second. */
export class RetryBudget {
  readonly #observer: Observer;
  readonly #windows = new WeakMap<AppRoute, Window>();

  constructor(observer: Observer) {
    this.#observer = observer;
  }

  /** Counts an attempt at `now`, monotonic ms. */
  attempted(app: AppRoute, now: number): void {
    const window = this.#windows.get(app);
    if (window !== undefined) window.requests++;
    else this.#window(app, now).requests++;
  }

  /**
   * Takes a retry out of the budget; false when it is used up. Failed connects take none while at
   * least half of the backends are good.
   */
  take(app: AppRoute, reason: "connect" | "reset", now: number): boolean {
    const window = this.#window(app, now);
    if (reason === "connect") {
      const good = app.up.filter((backend) => backend.isGood(now)).length;
      if (good * 2 >= app.up.length) return true;
    }
    if (window.retries >= Math.max(LEAST, window.requests * SHARE)) {
      this.#observer.app(app.id).retryBudgetExhausted++;
      return false;
    }
    window.retries++;
    return true;
  }

  #window(app: AppRoute, now: number): Window {
    let window = this.#windows.get(app);
    if (window === undefined || now - window.at > WINDOW_MS) {
      window = { at: now, requests: 0, retries: 0 };
      this.#windows.set(app, window);
    }
    return window;
  }
}
