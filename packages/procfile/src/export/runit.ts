import type { ExportedFile, ExportPlan } from "./plan.ts";
import { shellQuote } from "./quote.ts";

/** A service directory per instance with `run` and `log/run`. `release` is a script of its own. */
export function toRunit(plan: ExportPlan): ExportedFile[] {
  return plan.types.flatMap((type) =>
    type.instances.flatMap((instance): ExportedFile[] => {
      const name = `${plan.app}-${type.name}-${instance.instance}`;
      const account = plan.user === undefined ? "" : `chpst -u ${shellQuote(plan.user)} `;
      const run = [
        "#!/bin/sh",
        "exec 2>&1",
        `cd ${shellQuote(plan.workingDirectory)} || exit 1`,
        ...[...instance.env].map(([key, value]) => `export ${key}=${shellQuote(value)}`),
        `exec ${account}${shellQuote(plan.shell)} -c ${shellQuote(type.command)}`,
      ];
      const file = (path: string, lines: string[]) => ({
        path,
        content: `${lines.join("\n")}\n`,
        executable: true,
      });
      if (type.oneShot) return [file(`${name}.sh`, run)];
      const directory = shellQuote(`${plan.logDirectory}/${name}`);
      return [
        file(`${name}/run`, run),
        file(`${name}/log/run`, [
          "#!/bin/sh",
          `mkdir -p ${directory}`,
          `exec ${account}svlogd -tt ${directory}`,
        ]),
      ];
    }),
  );
}
