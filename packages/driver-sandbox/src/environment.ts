import type { DynoSpec } from "@dynokit/manifold";

const OUTER_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Variables of a dyno as they travel past the programs around it: behind a "+", so that neither
 * the loader nor perl obeys one (`LD_PRELOAD`, `PERL5OPT`) before the walls are up.
 */
export function carried(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [`+${name}`, value]));
}

/** The whole environment of the programs around a dyno. */
export function outerEnvironment(
  spec: DynoSpec,
  port: number | undefined,
): Readonly<Record<string, string>> {
  const inner: Record<string, string> = { HOME: "/app", ...spec.env };
  if (port !== undefined) inner["PORT"] = String(port);
  return { PATH: OUTER_PATH, ...carried(inner) };
}
