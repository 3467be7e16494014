import type { ExportedFile, ExportPlan } from "./plan.ts";
import { printfDecoder, printfEscaped, shellQuote } from "./quote.ts";

/** A job for the app, one that each type follows, and one per instance. */
export function toUpstart(plan: ExportPlan): ExportedFile[] {
  const { app } = plan;
  const file = (name: string, lines: string[]): ExportedFile => ({
    path: `${name}.conf`,
    content: `${lines.join("\n")}\n`,
    executable: false,
  });
  const files = [
    file(app, ["start on runlevel [2345]", "stop on runlevel [!2345]", "task", "exec true"]),
  ];
  for (const type of plan.types) {
    for (const { instance, env } of type.instances) {
      const exports = [...env].flatMap(([name, value]) =>
        // A line of a value could read "end script".
        /[\r\n]/.test(value)
          ? [`${name}=${shellQuote(printfEscaped(value))}`, printfDecoder(name).trim()]
          : [`export ${name}=${shellQuote(value)}`],
      );
      files.push(
        file(`${app}-${type.name}-${instance}`, [
          ...(type.oneShot
            ? ["task"]
            : [`start on started ${app}`, `stop on stopping ${app}`, "respawn"]),
          `kill signal ${plan.stopSignal}`,
          `kill timeout ${plan.stopTimeoutSeconds}`,
          ...(plan.user === undefined ? [] : [`setuid ${plan.user}`]),
          `chdir ${plan.workingDirectory}`,
          "script",
          ...exports.map((line) => `  ${line}`),
          `  exec ${shellQuote(plan.shell)} -c ${shellQuote(type.command)}`,
          "end script",
        ]),
      );
    }
  }
  return files;
}
