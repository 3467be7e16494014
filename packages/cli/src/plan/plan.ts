import type { ConfigVars, FormationEntry } from "../client/resources.ts";
import { type AppFile, givenConfig, requiredConfig } from "./app-file.ts";

/** What an app is now, as far as a file can say it. */
export interface AppState {
  readonly config: ConfigVars;
  readonly formation: readonly FormationEntry[];
  readonly buildpacks: readonly string[];
  readonly domains: readonly string[];
  readonly drains: readonly string[];
  readonly maintenance: boolean;
}

/** One call of the API, and one line that says what it does. Values of config vars are not shown. */
export interface Step {
  readonly text: string;
  readonly method: "PATCH" | "PUT" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
}

export interface Plan {
  readonly steps: readonly Step[];
  /** What keeps the file from being applied. */
  readonly problems: readonly string[];
}

/**
 * The calls that make an app what the file says. What the file does not mention stays as it is:
 * only lists that it gives (`domains`, `drains`, `buildpacks`) are made exact.
 */
export function planApp(app: string, file: AppFile, state: AppState): Plan {
  const steps: Step[] = [];
  const at = (path: string) => `/apps/${app}${path}`;

  const wanted = givenConfig(file);
  const changed = Object.keys(wanted).filter((key) => state.config[key] !== wanted[key]);
  if (changed.length > 0)
    steps.push({
      text: `set config ${changed.sort((a, b) => a.localeCompare(b)).join(", ")}`,
      method: "PATCH",
      path: at("/config-vars"),
      body: Object.fromEntries(changed.map((key) => [key, wanted[key]])),
    });
  const problems = requiredConfig(file)
    .filter((key) => !Object.hasOwn(state.config, key))
    .map(
      (key) =>
        `config var ${key} is required and has no value: set it with \`dynokit config:set ${key}=…\``,
    );

  if (
    file.buildpacks &&
    differs(
      file.buildpacks.map(({ url }) => url),
      state.buildpacks,
    )
  )
    steps.push({
      text: `use buildpacks ${file.buildpacks.map(({ url }) => url).join(", ")}`,
      method: "PUT",
      path: at("/buildpack-installations"),
      body: { updates: file.buildpacks.map(({ url }) => ({ buildpack: url })) },
    });

  for (const hostname of file.domains ?? [])
    if (!state.domains.includes(hostname))
      steps.push({
        text: `add domain ${hostname}`,
        method: "POST",
        path: at("/domains"),
        body: { hostname, sni_endpoint: null },
      });
  if (file.domains)
    for (const hostname of state.domains)
      if (!file.domains.includes(hostname))
        steps.push({
          text: `remove domain ${hostname}`,
          method: "DELETE",
          path: at(`/domains/${encodeURIComponent(hostname)}`),
        });

  for (const url of file.drains ?? [])
    if (!state.drains.includes(url))
      steps.push({
        text: `add drain ${masked(url)}`,
        method: "POST",
        path: at("/log-drains"),
        body: { url },
      });
  if (file.drains)
    for (const url of state.drains)
      if (!file.drains.includes(url))
        steps.push({
          text: `remove drain ${masked(url)}`,
          method: "DELETE",
          path: at(`/log-drains/${encodeURIComponent(url)}`),
        });

  const updates = Object.entries(file.formation ?? {}).flatMap(([type, { quantity, size }]) => {
    const now = state.formation.find((entry) => entry.type === type);
    if (!now) {
      problems.push(`the app has no process type ${type}: deploy code whose Procfile has it`);
      return [];
    }
    const same =
      now.quantity === quantity &&
      (size === undefined || now.size.toLowerCase() === size.toLowerCase());
    return same ? [] : [{ type, quantity, ...(size === undefined ? {} : { size }) }];
  });
  if (updates.length > 0)
    steps.push({
      text: `scale ${updates.map(({ type, quantity, size }) => `${type}=${quantity}${size ? `:${size}` : ""}`).join(" ")}`,
      method: "PATCH",
      path: at("/formation"),
      body: { updates },
    });

  if (file.maintenance !== undefined && file.maintenance !== state.maintenance)
    steps.push({
      text: `turn maintenance mode ${file.maintenance ? "on" : "off"}`,
      method: "PATCH",
      path: at(""),
      body: { maintenance: file.maintenance },
    });
  return { steps, problems };
}

function differs(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return true;
  return a.some((value, index) => b[index] !== value);
}

/** A drain's URL may hold a password or a key. */
function masked(url: string): string {
  if (!URL.canParse(url)) return url;
  const parsed = new URL(url);
  if (parsed.password !== "") parsed.password = "***";
  return `${parsed.href.split("?")[0]}${parsed.search === "" ? "" : "?…"}`;
}
