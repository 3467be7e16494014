import type { ExportedFile, ExportPlan } from "./plan.ts";
import { systemdQuote } from "./quote.ts";

/** One service per instance and a target that groups them, for the system or for one user. */
export function toSystemd(plan: ExportPlan): ExportedFile[] {
  const { app, scope, user } = plan;
  const install = scope === "user" ? "default.target" : "multi-user.target";
  const services = plan.types.flatMap((type) =>
    type.oneShot
      ? type.instances
          .slice(0, 1)
          .map((instance) => ({ type, instance, unit: `${app}-${type.name}.service` }))
      : type.instances.map((instance) => ({
          type,
          instance,
          unit: `${app}-${type.name}.${instance.instance}.service`,
        })),
  );
  const release = services.find(({ type }) => type.oneShot);
  const files = services.map(({ type, instance, unit }): ExportedFile => {
    const lines = [
      "[Unit]",
      `Description=${specifiers(`${app} ${instance.dyno}`)}`,
      `PartOf=${app}.target`,
      ...(release && !type.oneShot ? [`After=${release.unit}`] : []),
      "",
      "[Service]",
      ...(type.oneShot ? ["Type=oneshot"] : []),
      ...(user !== undefined && scope === "system" ? [`User=${specifiers(user)}`] : []),
      `WorkingDirectory=${specifiers(plan.workingDirectory)}`,
      ...[...instance.env].map(
        ([name, value]) => `Environment=${systemdQuote(`${name}=${value}`)}`,
      ),
      `ExecStart=${specifiers(plan.shell)} -c ${systemdQuote(type.command).replaceAll("$", "$$$$")}`,
      ...(type.oneShot ? [] : ["Restart=always", "RestartSec=14s"]),
      "StandardInput=null",
      "StandardOutput=journal",
      "StandardError=inherit",
      "SyslogIdentifier=%n",
      "KillMode=mixed",
      `KillSignal=${plan.stopSignal}`,
      `TimeoutStopSec=${plan.stopTimeoutSeconds}s`,
    ];
    return { path: unit, content: `${lines.join("\n")}\n`, executable: false };
  });
  const wants = services.map(({ unit }) => unit).join(" ");
  const target = [
    "[Unit]",
    `Description=${app}`,
    ...(wants ? [`Wants=${wants}`] : []),
    "",
    "[Install]",
    `WantedBy=${install}`,
  ];
  return [
    { path: `${app}.target`, content: `${target.join("\n")}\n`, executable: false },
    ...files,
  ];
}

function specifiers(value: string): string {
  return value.replaceAll("%", "%%");
}
