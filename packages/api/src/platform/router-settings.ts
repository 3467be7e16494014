import { ApiError, invalid } from "../errors.ts";
import type { RouterSettings } from "../resources/router-settings.ts";
import { prepare } from "../store/prepare.ts";
import type { Queries } from "../store/store.ts";
import { messageOf, type Platform, type Unit } from "./platform.ts";

const place = (appId: string) => `router:${appId}`;

const sealedOf = prepare((queries, { app }: { readonly app: string }) =>
  queries.selectFrom("router_settings").select("sealed").where("app_id", "=", app),
);

/** What an app has set of its router. */
export async function readRouterSettings(
  platform: Platform,
  queries: Queries,
  appId: string,
): Promise<RouterSettings> {
  const row = await sealedOf.first(queries, { app: appId });
  return row ? (JSON.parse(platform.secrets.open(row.sealed, place(appId))) as RouterSettings) : {};
}

/** Keeps the settings whole and sealed, for some are secret. */
export async function storeRouterSettings(
  platform: Platform,
  unit: Unit,
  appId: string,
  settings: RouterSettings,
): Promise<void> {
  const sealed = platform.secrets.seal(JSON.stringify(settings), place(appId));
  await unit.tx
    .insertInto("router_settings")
    .values({ app_id: appId, sealed, created_at: unit.now, updated_at: unit.now })
    .onConflict((conflict) =>
      conflict.column("app_id").doUpdateSet({ sealed, updated_at: unit.now }),
    )
    .execute();
}

interface Refusal {
  readonly code?: unknown;
  readonly details?: { readonly path?: unknown; readonly reason?: unknown };
}

/**
 * Asks the router whether it takes the settings.
 *
 * @throws ApiError `invalid-params` naming the setting
 */
export async function checkRouterSettings(
  platform: Platform,
  appId: string,
  settings: RouterSettings,
): Promise<void> {
  try {
    await platform.routes.check?.(appId, { hosts: [], ...settings });
  } catch (error) {
    const { code, details } = error as Refusal;
    if (code !== "invalid-option") throw error;
    const reason = String(details?.reason ?? messageOf(error)).replace(/\.$/, "");
    if (typeof details?.path !== "string" || details.path === "")
      throw new ApiError("invalid-params", `The router refuses the settings: ${reason}.`);
    throw invalid(
      details.path,
      `The router refuses "${details.path}": ${reason}. Correct it, or send null for its default.`,
    );
  }
}
