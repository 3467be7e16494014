import { z } from "zod";

const flag = z.boolean();
const count = z.number();
const word = z.string();
const group = z.record(z.string(), z.unknown());

/**
 * What an app can ask of its router. The names and meanings are those of the router's route
 * options; the router itself says which values it takes.
 */
const fields = {
  access: group,
  affinity: z.union([flag, group]),
  backendProtocol: word,
  backendTls: z.union([flag, group]),
  balance: z.union([word, group]),
  bufferRequestBytes: count,
  canary: group,
  concurrency: count,
  continue: word,
  ejectOn5xx: flag,
  fieldCase: word,
  forceHttps: z.union([flag, group]),
  health: group,
  keepAlive: flag,
  maintenance: group,
  maxBodyBytes: count,
  maxClientConnections: count,
  onClientAbort: word,
  pages: group,
  queueMax: count,
  rate: group,
  requestsPerDyno: count,
  responseBufferBytes: count,
  retry: group,
  slowStartMs: count,
  strict: word,
  timeouts: group,
  tracing: z.union([flag, word]),
  tunnels: word,
  unsafeReuse: word,
  wake: flag,
} as const;

type Key = keyof typeof fields;
const keys = Object.keys(fields) as Key[];

type Nullable = { [K in Key]: z.ZodNullable<(typeof fields)[K]> };
const nullable = Object.fromEntries(
  keys.map((key) => [key, fields[key].nullable()]),
) as unknown as Nullable;

/** Every setting; null is the default. */
export const routerSettingsSchema = z.strictObject(nullable).meta({ id: "router-settings" });

/** Some settings, with null for the default. */
export const routerSettingsPatch = z.strictObject(nullable).partial();

/** The settings that an app has set. */
export type RouterSettings = Readonly<Record<string, unknown>>;

type Group = Readonly<Record<string, unknown>>;

const isGroup = (value: unknown): value is Group =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Stands for a part that is shown to nobody; sent back, it leaves the part as it is. */
export const hidden = "(hidden)";

const secretParts = [
  ["backendTls", "key"],
  ["maintenance", "bypassCookie"],
] as const;

/** Secret parts for which a patch only repeats what it was shown. */
export function repeatedSecrets(patch: RouterSettings): readonly (readonly [string, string])[] {
  return secretParts.filter(([key, part]) => {
    const value = patch[key];
    return isGroup(value) && value[part] === hidden;
  });
}

/** Whether a part of a setting is set. */
export function hasPart(settings: RouterSettings, key: string, part: string): boolean {
  const value = settings[key];
  return isGroup(value) && Object.hasOwn(value, part);
}

/** Without a part of a setting. */
export function withoutPart(settings: RouterSettings, key: string, part: string): RouterSettings {
  const { [part]: _gone, ...rest } = settings[key] as Group;
  return { ...settings, [key]: rest };
}

/** For these an empty group says something: on with all defaults, or a part that is missing. */
const meaningful = new Set(["affinity", "backendTls", "canary", "health", "rate"]);

/** Merges as RFC 7396 does: groups part by part, null removes. What is empty then is gone. */
export function mergeSettings(before: RouterSettings, patch: RouterSettings): RouterSettings {
  const merged = merge(before, patch);
  return Object.fromEntries(
    Object.entries(merged).filter(
      ([key, value]) => meaningful.has(key) || !isGroup(value) || Object.keys(value).length > 0,
    ),
  );
}

function merge(before: unknown, patch: Group): Group {
  const merged = new Map(isGroup(before) ? Object.entries(before) : []);
  for (const [key, value] of Object.entries(patch))
    if (value === null) merged.delete(key);
    else merged.set(key, isGroup(value) ? merge(merged.get(key), value) : value);
  return Object.fromEntries(merged);
}

/** As the API shows them, without what is secret. */
export function presentSettings(settings: RouterSettings): Record<Key, unknown> {
  const shown: Record<string, unknown> = { ...settings };
  for (const [key, part] of secretParts)
    if (hasPart(settings, key, part)) shown[key] = { ...(settings[key] as Group), [part]: hidden };
  return Object.fromEntries(keys.map((key) => [key, shown[key] ?? null])) as Record<Key, unknown>;
}

/** As events keep them: pages by their length, for each may have 256 KiB. */
export function settingsForEvent(settings: RouterSettings): Record<string, unknown> {
  const shown = presentSettings(settings);
  if (!isGroup(shown.pages)) return shown;
  const pages = Object.entries(shown.pages).map(([key, value]) =>
    (key === "error" || key === "maintenance") && typeof value === "string"
      ? [key, `(${value.length} characters)`]
      : [key, value],
  );
  return { ...shown, pages: Object.fromEntries(pages) };
}
