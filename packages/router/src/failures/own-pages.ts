/** Pages that apps name by URL: fetched when the setting changes, never while a request waits. */

import type { LogWriter } from "../access-log/writer.ts";
import type { RouteTable } from "../table/route-table.ts";
import type { AppSettings } from "../table/settings.ts";
import { Timed, type TimerWheel } from "../time/wheel.ts";
import { type FetchPageOptions, fetchPage, type PageFetch } from "./fetch-page.ts";

/** Which of an app's pages. */
export type OwnPageKind = "error" | "maintenance";

/** How pages are had. */
export interface OwnPagesOptions extends FetchPageOptions {
  /** As Heroku does: nothing is fetched, the client gets a frame around the URL. */
  readonly frames: boolean;
}

/** A page that could not be had is asked for again after this time, then twice that, … */
const RETRY_MS = 60_000;
const RETRY_MAX_MS = 3_600_000;

/**
 * Keeps the last good page of each app and kind (spec/router.md §19). Until one was fetched the
 * built-in page is served; a URL that fails leaves the page of the one before.
 */
export class OwnPages {
  readonly #routes: RouteTable;
  readonly #log: LogWriter | null;
  readonly #wheel: TimerWheel;
  readonly #options: OwnPagesOptions;
  readonly #slots = new Map<string, Slot>();
  readonly #unsubscribe: () => void;

  constructor(
    routes: RouteTable,
    log: LogWriter | null,
    wheel: TimerWheel,
    options: OwnPagesOptions,
  ) {
    this.#routes = routes;
    this.#log = log;
    this.#wheel = wheel;
    this.#options = options;
    const onRoute = (event: { readonly type: string; readonly app: string }) => {
      if (event.type === "set" || event.type === "delete") this.#refresh(event.app);
    };
    routes.on("route", onRoute);
    this.#unsubscribe = () => routes.off("route", onRoute);
    for (const app of routes.apps()) this.#refresh(app.id);
  }

  /** The HTML to serve; null = the built-in page. */
  html(app: string, settings: AppSettings, kind: OwnPageKind): string | null {
    const { page, url } = pageSetting(settings, kind);
    if (page !== null || url === null) return page;
    return this.#options.frames ? frame(url) : (this.#slots.get(`${kind} ${app}`)?.html ?? null);
  }

  #refresh(app: string): void {
    const settings = this.#routes.get(app)?.settings;
    for (const kind of ["error", "maintenance"] as const) {
      const key = `${kind} ${app}`;
      const url = settings === undefined ? null : pageSetting(settings, kind).url;
      let slot = this.#slots.get(key);
      if (url === null || this.#options.frames) {
        slot?.stop();
        this.#slots.delete(key);
        continue;
      }
      if (slot === undefined) {
        slot = new Slot(this.#wheel, this.#options, (reason) =>
          this.#log?.write(
            app,
            `at=warning cause="page not fetched" page=${kind} reason="${reason}"`,
          ),
        );
        this.#slots.set(key, slot);
      }
      slot.follow(url);
    }
  }

  /** Ends every fetch. Idempotent. */
  close(): void {
    this.#unsubscribe();
    for (const slot of this.#slots.values()) slot.stop();
  }
}

function pageSetting(
  settings: AppSettings,
  kind: OwnPageKind,
): { readonly page: string | null; readonly url: string | null } {
  return kind === "error"
    ? { page: settings.errorPage, url: settings.errorPageUrl }
    : { page: settings.maintenancePage, url: settings.maintenancePageUrl };
}

function frame(url: string): string {
  const source = new URL(url).href.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Application error</title>
<style>html,body,iframe{margin:0;border:0;padding:0;width:100%;height:100%;overflow:hidden}</style>
</head>
<body><iframe src="${source}" title="Application error"></iframe></body>
</html>
`;
}

/** One page of one app. */
class Slot extends Timed {
  html: string | null = null;
  readonly #wheel: TimerWheel;
  readonly #options: FetchPageOptions;
  readonly #failed: (reason: string) => void;
  #url = "";
  #fetch: PageFetch | null = null;
  #retryMs = RETRY_MS;

  constructor(wheel: TimerWheel, options: FetchPageOptions, failed: (reason: string) => void) {
    super();
    this.#wheel = wheel;
    this.#options = options;
    this.#failed = failed;
  }

  /** Fetches the URL unless it is the one that was fetched last. */
  follow(url: string): void {
    if (url === this.#url) return;
    this.stop();
    this.#url = url;
    this.#retryMs = RETRY_MS;
    this.#ask();
  }

  override onDeadline(): void {
    this.#ask();
  }

  #ask(): void {
    const fetch = fetchPage(this.#url, this.#options);
    this.#fetch = fetch;
    fetch.page.then(
      (html) => {
        if (this.#fetch !== fetch) return;
        this.#fetch = null;
        this.html = html;
      },
      (error: Error) => {
        if (this.#fetch !== fetch) return;
        this.#fetch = null;
        // Words of a peer stay out of the line: only names of errors and of our own reasons.
        this.#failed(error.message.replaceAll(/[^\w .-]/g, "_"));
        this.#wheel.set(this, this.#retryMs);
        this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
      },
    );
  }

  stop(): void {
    const fetch = this.#fetch;
    this.#fetch = null;
    fetch?.cancel();
    this.#wheel.remove(this);
  }
}
