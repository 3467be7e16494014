import type { ExportedFile, ExportPlan, PlannedType } from "./plan.ts";
import { yamlString } from "./quote.ts";

/** One `compose.yaml`; `release` is a service of the profile `release`, to be run by hand. */
export function toCompose(plan: ExportPlan): ExportedFile[] {
  const lines = [`name: ${yamlString(plan.app.toLowerCase())}`, "services:"];
  for (const type of plan.types) lines.push(...serviceOf(plan, type));
  if (plan.types.length === 0) lines[1] = "services: {}";
  return [{ path: "compose.yaml", content: `${lines.join("\n")}\n`, executable: false }];
}

function serviceOf(plan: ExportPlan, type: PlannedType): string[] {
  const { containerPort: port, instances } = type;
  // compose itself expands $NAME everywhere in the file.
  const text = (value: string) => yamlString(value.replaceAll("$", "$$$$"));
  const env = [...plan.env].map(([name, value]) => `      ${name}: ${text(value)}`);
  if (port !== undefined) env.push(`      PORT: "${port}"`);
  const published =
    instances.length > 1
      ? `${port}-${(port ?? 0) + instances.length - 1}:${port}`
      : `${port}:${port}`;
  return [
    `  ${yamlString(type.name)}:`,
    `    image: ${text(plan.image)}`,
    `    command: [${text(plan.shell)}, "-c", ${text(type.command)}]`,
    `    working_dir: ${text(plan.workingDirectory)}`,
    ...(plan.user === undefined ? [] : [`    user: ${text(plan.user)}`]),
    "    init: true",
    ...(env.length > 0 ? ["    environment:", ...env] : []),
    ...(type.name === "web" && port !== undefined && instances.length > 0
      ? [`    ports: ["${published}"]`]
      : []),
    ...(type.oneShot
      ? ['    restart: "no"', '    profiles: ["release"]']
      : ['    restart: "unless-stopped"', "    deploy:", `      replicas: ${instances.length}`]),
    `    stop_signal: ${plan.stopSignal}`,
    `    stop_grace_period: ${plan.stopTimeoutSeconds}s`,
  ];
}
