import type { ExportedFile, ExportPlan, PlannedInstance, PlannedType } from "./plan.ts";
import { printfDecoder, printfEscaped } from "./quote.ts";

/** One file with a program per instance and a group. `release` starts only by hand. */
export function toSupervisord(plan: ExportPlan): ExportedFile[] {
  const { app } = plan;
  const programs: string[] = [];
  const blocks = plan.types.flatMap((type) =>
    type.instances.map((instance) => {
      const name = `${app}-${type.name}-${instance.instance}`;
      programs.push(name);
      return programOf(plan, type, instance, name);
    }),
  );
  const group = [`[group:${app}]`, `programs=${programs.join(",")}`, ""];
  const content = [...blocks, ...(programs.length > 0 ? [group.join("\n")] : [])].join("\n");
  return [{ path: `${app}.conf`, content, executable: false }];
}

function programOf(
  plan: ExportPlan,
  type: PlannedType,
  { env }: PlannedInstance,
  name: string,
): string {
  // Values are cut from the environment by a lexer without any escape, so only plain ones can go
  // there as they are; the others travel encoded and the shell decodes them.
  let decoders = "";
  const pairs: string[] = [];
  for (const [key, value] of env) {
    const plain = /^[A-Za-z0-9_.:/@,=+ -]*$/.test(value);
    if (!plain) decoders += printfDecoder(key);
    pairs.push(`${key}="${plain ? value : printfEscaped(value)}"`);
  }
  const signal = plan.stopSignal.replace(/^SIG/, "");
  const lines = [
    `[program:${name}]`,
    `command=${percent(`${iniWord(plan.shell)} -c ${iniWord(decoders + type.command)}`)}`,
    `directory=${percent(plan.workingDirectory)}`,
    ...(plan.user === undefined ? [] : [`user=${percent(plan.user)}`]),
    `environment=${percent(pairs.join(","))}`,
    ...(type.oneShot
      ? ["autostart=false", "autorestart=false", "startsecs=0"]
      : ["autostart=true", "autorestart=true"]),
    `stdout_logfile=${percent(plan.logDirectory)}/${name}.log`,
    "redirect_stderr=true",
    `stopsignal=${signal}`,
    `stopwaitsecs=${plan.stopTimeoutSeconds}`,
    "stopasgroup=false",
    "killasgroup=true",
    "",
  ];
  return lines.join("\n");
}

function percent(value: string): string {
  return value.replaceAll("%", "%%");
}

/** A single-quoted word in which no `;` or `#` follows a blank: that would begin a comment. */
function iniWord(value: string): string {
  const word = value.replaceAll(/'|(?<=\s)[;#]/g, (character) => `'"${character}"'`);
  return `'${word}'`;
}
