import type { RoutePort } from "../ports.ts";
import { prepare } from "../store/prepare.ts";
import type { Queries } from "../store/store.ts";
import type { AppRow } from "../store/tables.ts";
import type { ConfigVars } from "./config.ts";
import type { Platform } from "./platform.ts";
import { readRouterSettings } from "./router-settings.ts";
import type { Running } from "./running.ts";

const maxUrlLength = 2048;

const pageVars = [
  ["ERROR_PAGE_URL", "errorUrl"],
  ["MAINTENANCE_PAGE_URL", "maintenanceUrl"],
] as const;

/** What a router takes as the place of a page. */
function isPageUrl(text: string): boolean {
  const url = text.length <= maxUrlLength && URL.canParse(text) ? new URL(text) : null;
  return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === "";
}

/** Pages that config vars name, and the names of those variables that hold no page's place. */
function pagesOf(config: ConfigVars) {
  const pages: { errorUrl?: string; maintenanceUrl?: string } = {};
  const refused: string[] = [];
  for (const [name, key] of pageVars) {
    const value = config[name];
    if (value === undefined || value === "") continue;
    if (isPageUrl(value)) pages[key] = value;
    else refused.push(name);
  }
  return { pages, refused };
}

/** Once for each set of refused variables; the values stay out, as of all config vars. */
function complain(platform: Platform, appId: string, refused: readonly string[]): void {
  const before = platform.refusedPages.get(appId) ?? "";
  const now = refused.join(", ");
  if (now === before) return;
  platform.refusedPages.set(appId, now);
  // Each process that shares the store sets the route; one is enough to say so.
  if (now !== "" && platform.presence.leader)
    platform.say(
      appId,
      `Error: ${now} not used: the value must be an http or https URL without a user name, of at most ${maxUrlLength} characters. Set the config var again.`,
    );
}

const hostnames = prepare((queries, { app }: { readonly app: string }) =>
  queries
    .selectFrom("domains")
    .select("hostname")
    .where("app_id", "=", app)
    .orderBy("kind", "desc")
    .orderBy("hostname"),
);

/** Hostnames of an app: its own under the platform's domain and the custom ones. */
async function hostsOf(queries: Queries, appId: string): Promise<string[]> {
  const rows = await hostnames.all(queries, { app: appId });
  return rows.map((row) => row.hostname);
}

/**
 * The route of an app as the store has it now: its hosts and maintenance mode, its own pages by
 * the config vars `ERROR_PAGE_URL` and `MAINTENANCE_PAGE_URL` of the current release, session
 * affinity by the feature `http-session-affinity`, and what the app set of its router, which comes
 * before the config vars and the feature (spec/router.md §17, §19, §27).
 */
export async function desiredRoute(
  platform: Platform,
  app: AppRow,
  { release, config, features }: Running,
): Promise<RoutePort> {
  const { db } = platform;
  const { pages: named, refused } = pagesOf(config);
  complain(platform, app.id, refused);
  const settings = await readRouterSettings(platform, db, app.id);
  const {
    maintenance = true,
    pages: own = {},
    ...more
  } = settings as Pick<RoutePort, "maintenance" | "pages">;
  const pages = {
    // HTML that was set is not to be replaced by what a URL leads to.
    ...(named.errorUrl && !own.error ? { errorUrl: named.errorUrl } : {}),
    ...(named.maintenanceUrl && !own.maintenance ? { maintenanceUrl: named.maintenanceUrl } : {}),
    ...own,
  };
  return {
    ...(features.includes("http-session-affinity") ? { affinity: true } : {}),
    ...more,
    ...(Object.keys(pages).length > 0 ? { pages } : {}),
    hosts: await hostsOf(db, app.id),
    name: app.name,
    maintenance: app.maintenance === 1 && maintenance,
    state: release?.slug_id ? "active" : "blank",
  };
}
