import { ProcfileError, quoted } from "../errors.ts";
import { nearest } from "../suggest.ts";
import { toCompose } from "./compose.ts";
import { toKubernetes } from "./kubernetes.ts";
import { toLaunchd } from "./launchd.ts";
import { toNomad } from "./nomad.ts";
import { type ExportedFile, type ExportOptions, type ExportPlan, planExport } from "./plan.ts";
import { toPm2 } from "./pm2.ts";
import { toRunit } from "./runit.ts";
import { toSupervisord } from "./supervisord.ts";
import { toSystemd } from "./systemd.ts";
import { type ExportTemplate, renderTemplate } from "./template.ts";
import { toUpstart } from "./upstart.ts";

const exporters = {
  systemd: toSystemd,
  compose: toCompose,
  kubernetes: toKubernetes,
  supervisord: toSupervisord,
  launchd: toLaunchd,
  runit: toRunit,
  nomad: toNomad,
  pm2: toPm2,
  upstart: toUpstart,
} satisfies Record<string, (plan: ExportPlan) => ExportedFile[]>;

/** A format that {@link exportFormation} knows. */
export type ExportTarget = keyof typeof exporters;

/** The formats that {@link exportFormation} knows, in the order of spec/procfile.md §7. */
export const exportTargets = Object.keys(exporters) as readonly ExportTarget[];

/**
 * Writes a formation in another supervisor's format. Pure: gives files, touches no disk. Commands
 * and values are quoted for the format, so that the process sees exactly what the Procfile and
 * the environment hold.
 *
 * @param target a known format, a template, or a function of the plan
 * @throws ProcfileError `unknown-target`, `invalid-option`, `invalid-env-key`, `invalid-env-value`
 * @example
 * exportFormation("systemd", { entries: parse("web: node a.js").entries, formation: { web: 2 } });
 */
export function exportFormation(
  target: ExportTarget | ExportTemplate | ((plan: ExportPlan) => readonly ExportedFile[]),
  options: ExportOptions,
): readonly ExportedFile[] {
  if (typeof target === "function") return target(planExport(options));
  if (typeof target === "object") return renderTemplate(target, planExport(options));
  if (!Object.hasOwn(exporters, target)) {
    const near = nearest(target, exportTargets);
    throw new ProcfileError(
      "unknown-target",
      `There is no export format ${quoted(target)}.${near ? ` Did you mean ${quoted(near)}?` : ""} There are ${exportTargets.join(", ")}.`,
      { target },
    );
  }
  return exporters[target](planExport(options));
}
