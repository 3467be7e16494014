import type { ExportedFile, ExportPlan } from "./plan.ts";

/** One `ecosystem.config.cjs` with an app per instance, so that each has a port of its own. */
export function toPm2(plan: ExportPlan): ExportedFile[] {
  const apps = plan.types.flatMap((type) =>
    type.instances.map(({ instance, env }) => ({
      name: `${plan.app}-${type.name}-${instance}`,
      script: plan.shell,
      args: ["-c", type.command],
      interpreter: "none",
      cwd: plan.workingDirectory,
      ...(plan.user === undefined ? {} : { user: plan.user }),
      exec_mode: "fork",
      instances: 1,
      autorestart: !type.oneShot,
      kill_timeout: plan.stopTimeoutSeconds * 1000,
      env: Object.fromEntries(env),
    })),
  );
  // In an object literal, unlike in JSON, this key would set the prototype.
  const body = JSON.stringify({ apps }, null, 2).replaceAll('"__proto__":', '["__proto__"]:');
  const content = `// PM2 stops with SIGINT unless its daemon runs with PM2_KILL_SIGNAL=${plan.stopSignal}.\nmodule.exports = ${body};\n`;
  return [{ path: "ecosystem.config.cjs", content, executable: false }];
}
