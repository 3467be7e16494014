import type { Plan } from "./plan.ts";

/**
 * The whole environment of a dyno: config vars, over them the manifold's variables, over them
 * what a one-off was given (spec/dynos.md §10). `PORT` is the driver's.
 */
export function environment(
  plan: Plan,
  dyno: { readonly name: string; readonly id: string },
  prefix: string,
): Record<string, string> {
  const { release } = plan;
  const env: Record<string, string> = {
    ...plan.env,
    DYNO: dyno.name,
    [`${prefix}APP_ID`]: plan.app,
    [`${prefix}APP_NAME`]: plan.appName,
    [`${prefix}DYNO_ID`]: dyno.id,
    [`${prefix}RELEASE_VERSION`]: `v${release.version}`,
  };
  if (plan.defaultDomain !== undefined) {
    env[`${prefix}APP_DEFAULT_DOMAIN_NAME`] = plan.defaultDomain;
  }
  if (release.createdAt !== undefined) {
    env[`${prefix}RELEASE_CREATED_AT`] = new Date(release.createdAt).toISOString();
  }
  if (release.commit !== undefined) env[`${prefix}SLUG_COMMIT`] = release.commit;
  if (release.description !== undefined) env[`${prefix}SLUG_DESCRIPTION`] = release.description;
  if (plan.tty) {
    env["TERM"] ??= "xterm-256color";
    env["COLUMNS"] = String(plan.tty.columns);
    env["LINES"] = String(plan.tty.rows);
  }
  return plan.overrides ? { ...env, ...plan.overrides } : env;
}
