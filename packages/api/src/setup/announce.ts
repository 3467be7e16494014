import type { Platform, Unit } from "../platform/platform.ts";
import { presentSetup } from "../resources/setup.ts";
import type { SetupRow } from "../store/tables.ts";

/** The audit trail tells how far a setup is; what its script printed may hold secrets. */
export async function announce(
  platform: Platform,
  unit: Unit,
  row: SetupRow,
  action: "create" | "update",
): Promise<void> {
  unit.event({
    app: row.app_id,
    resource: "app-setup",
    action,
    data: { ...(await presentSetup(platform, unit.tx, row)), postdeploy: null },
    ...(action === "update" ? { previous: { status: "pending" } } : {}),
  });
}
