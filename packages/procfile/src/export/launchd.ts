import type { ExportedFile, ExportPlan, PlannedInstance, PlannedType } from "./plan.ts";
import { xmlText } from "./quote.ts";

/** One property list per instance. `release` has `RunAtLoad` and no `KeepAlive`. */
export function toLaunchd(plan: ExportPlan): ExportedFile[] {
  return plan.types.flatMap((type) =>
    type.instances.map((instance) => {
      const label = `${plan.app}-${type.name}-${instance.instance}`;
      return {
        path: `${label}.plist`,
        content: plistOf(plan, type, instance, label),
        executable: false,
      };
    }),
  );
}

function plistOf(
  plan: ExportPlan,
  type: PlannedType,
  { env }: PlannedInstance,
  label: string,
): string {
  const string = (value: string) => `<string>${xmlText(value)}</string>`;
  const log = string(`${plan.logDirectory}/${label}.log`);
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  ${string(label)}
  <key>ProgramArguments</key>
  <array>
    ${string(plan.shell)}
    <string>-c</string>
    ${string(type.command)}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
${[...env].map(([name, value]) => `    <key>${name}</key>\n    ${string(value)}`).join("\n")}
  </dict>
  <key>WorkingDirectory</key>
  ${string(plan.workingDirectory)}
${plan.user === undefined ? "" : `  <key>UserName</key>\n  ${string(plan.user)}\n`}  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <${type.oneShot ? "false" : "true"}/>
  <key>ExitTimeOut</key>
  <integer>${plan.stopTimeoutSeconds}</integer>
  <key>StandardOutPath</key>
  ${log}
  <key>StandardErrorPath</key>
  ${log}
</dict>
</plist>
`;
}
