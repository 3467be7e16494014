import { ApiError, type FieldProblem } from "../errors.ts";
import { prepare, prepareInsert } from "../store/prepare.ts";
import type { Queries } from "../store/store.ts";
import type { Platform, Unit } from "./platform.ts";

/** Names to values. */
export type ConfigVars = Readonly<Record<string, string>>;

/** Bytes of all names and values together (spec/dynos.md §10). */
export const maxConfigBytes = 32 * 1024;

const sealedOf = prepare((queries, { id }: { readonly id: string }) =>
  queries.selectFrom("configs").select("sealed").where("id", "=", id),
);

const insertConfig = prepareInsert("configs", ["id", "app_id", "sealed", "created_at"]);

/** Reads the config vars of a release. */
export async function readConfig(
  platform: Platform,
  queries: Queries,
  configId: string,
): Promise<ConfigVars> {
  const row = await sealedOf.first(queries, { id: configId });
  if (!row) throw new ApiError("conflict", "The app is being removed.");
  return JSON.parse(platform.secrets.open(row.sealed, `config:${configId}`)) as ConfigVars;
}

/** Keeps a set of config vars, sealed; returns its id. */
export async function storeConfig(
  platform: Platform,
  unit: Unit,
  appId: string,
  values: ConfigVars,
): Promise<string> {
  const id = platform.uuid();
  await insertConfig(unit.tx, {
    id,
    app_id: appId,
    sealed: platform.secrets.seal(JSON.stringify(values), `config:${id}`),
    created_at: unit.now,
  });
  return id;
}

/** What a change of config vars does. */
export interface ConfigChange {
  readonly values: ConfigVars;
  readonly set: readonly string[];
  readonly removed: readonly string[];
}

/** Applies `{NAME: "value", OTHER: null}`; names that are not sent stay. */
export function changeConfig(
  before: ConfigVars,
  patch: Readonly<Record<string, string | null>>,
): ConfigChange {
  const problems: FieldProblem[] = [];
  const values: Record<string, string> = { ...before };
  const set: string[] = [];
  const removed: string[] = [];
  for (const [name, value] of Object.entries(patch)) {
    const wrong = nameProblem(name);
    if (value === null) {
      if (Object.hasOwn(values, name)) removed.push(name);
      delete values[name];
    } else if (wrong)
      problems.push({
        pointer: `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`,
        message: wrong,
      });
    else if (value.includes("\0"))
      problems.push({ pointer: `/${name}`, message: "must not contain a zero byte" });
    else if (!Object.hasOwn(values, name) || values[name] !== value) {
      set.push(name);
      values[name] = value;
    }
  }
  if (problems.length > 0)
    throw new ApiError(
      "invalid-params",
      `${problems.map(({ pointer, message }) => `${pointer.slice(1)} ${message}`).join("; ")}.`,
      { errors: problems },
    );
  const bytes = Object.entries(values).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value),
    0,
  );
  if (bytes > maxConfigBytes && bytes > sizeOf(before))
    throw new ApiError(
      "invalid-params",
      `All config vars together would take ${bytes} bytes; at most ${maxConfigBytes} are possible. Remove some or make them shorter.`,
    );
  return { values, set, removed };
}

function sizeOf(values: ConfigVars): number {
  return Object.entries(values).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value),
    0,
  );
}

function nameProblem(name: string): string | undefined {
  if (!/^\w+$/.test(name)) return "can only contain letters, digits and underscores";
  if (name.length > 255) return "is longer than 255 characters";
  if (name.startsWith("__")) return "must not begin with two underscores";
  if (/^HEROKU_/.test(name)) return "begins with HEROKU_, which is reserved for the platform";
  if (name === "PORT" || name === "DYNO" || name === "__proto__") return "is set by the platform";
  return undefined;
}

/** `Set A, B config vars` as release descriptions and log lines say it; names only. */
export function describeChange(change: ConfigChange): string {
  const parts: string[] = [];
  if (change.set.length > 0) parts.push(`Set ${change.set.join(", ")} config vars`);
  if (change.removed.length > 0) parts.push(`Remove ${change.removed.join(", ")} config vars`);
  return parts.join("; ");
}
