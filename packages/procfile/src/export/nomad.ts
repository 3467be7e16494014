import type { ExportedFile, ExportPlan, PlannedType } from "./plan.ts";
import { hclString } from "./quote.ts";

/** A service job with a group per type, and a batch job for `release`. */
export function toNomad(plan: ExportPlan): ExportedFile[] {
  const services = plan.types.filter(({ oneShot }) => !oneShot);
  const releases = plan.types.filter(({ oneShot, instances }) => oneShot && instances.length > 0);
  const files = [jobFile(plan, plan.app, "service", services)];
  for (const release of releases)
    files.push(jobFile(plan, `${plan.app}-release`, "batch", [release]));
  return files;
}

function jobFile(
  plan: ExportPlan,
  name: string,
  kind: "service" | "batch",
  types: readonly PlannedType[],
): ExportedFile {
  const lines = [
    `job ${hclString(name)} {`,
    `  type = "${kind}"`,
    ...types.flatMap((type) => group(plan, type)),
    "}",
  ];
  return { path: `${name}.nomad.hcl`, content: `${lines.join("\n")}\n`, executable: false };
}

function group(
  plan: ExportPlan,
  { name, command, oneShot, containerPort: port, instances }: PlannedType,
): string[] {
  const attempts = ["    restart {", "      attempts = 0", '      mode     = "fail"', "    }"];
  return [
    "",
    `  group ${hclString(name)} {`,
    `    count = ${oneShot ? 1 : instances.length}`,
    ...(oneShot ? attempts : []),
    ...(port === undefined
      ? []
      : ["    network {", '      port "http" {', `        to = ${port}`, "      }", "    }"]),
    `    task ${hclString(name)} {`,
    '      driver       = "docker"',
    `      kill_signal  = ${hclString(plan.stopSignal)}`,
    `      kill_timeout = "${plan.stopTimeoutSeconds}s"`,
    ...(plan.user === undefined ? [] : [`      user         = ${hclString(plan.user)}`]),
    "      config {",
    `        image    = ${hclString(plan.image)}`,
    `        command  = ${hclString(plan.shell)}`,
    `        args     = ["-c", ${hclString(command)}]`,
    `        work_dir = ${hclString(plan.workingDirectory)}`,
    "        init     = true",
    ...(port === undefined ? [] : ['        ports    = ["http"]']),
    "      }",
    "      env {",
    ...[...plan.env].map(([key, value]) => `        ${key} = ${hclString(value)}`),
    ...(port === undefined ? [] : [`        PORT = "${port}"`]),
    "      }",
    "    }",
    "  }",
  ];
}
