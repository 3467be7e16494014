import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv, stringifyEnv } from "@dynokit/procfile";
import type { ConfigVars } from "./client/resources.ts";
import { CliError } from "./errors.ts";

/**
 * Opens the user's editor on the config vars, or on the value of one, and says what was changed;
 * what was deleted is null. The file is the user's alone and gone afterwards.
 */
export function editConfig(
  before: ConfigVars,
  key: string | undefined,
  env: NodeJS.ProcessEnv,
): Record<string, string | null> {
  const editor = env["VISUAL"] ?? env["EDITOR"] ?? "vi";
  const directory = mkdtempSync(join(tmpdir(), "dynokit-config-"));
  const file = join(directory, key === undefined ? "config.env" : "value.txt");
  const names = Object.keys(before).toSorted((a, b) => a.localeCompare(b));
  const old =
    key === undefined
      ? stringifyEnv(Object.fromEntries(names.map((name) => [name, before[name] as string])))
      : (before[key] ?? "");
  try {
    writeFileSync(file, old, { mode: 0o600 });
    // The variable may hold arguments, as in `code --wait`.
    const { status, error } = spawnSync("sh", ["-c", `${editor} "$0"`, file], {
      stdio: "inherit",
      env,
    });
    if (error || status !== 0)
      throw new CliError(
        "failed",
        `The editor "${editor}" ended with ${error ? error.message : `status ${status}`}; nothing was changed.`,
      );
    const now = readFileSync(file, "utf8");
    if (now === old) return {};
    if (key !== undefined) return { [key]: now.replace(/\n$/, "") };
    return difference(before, now);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function difference(before: ConfigVars, now: string): Record<string, string | null> {
  const parsed = parseEnv(now);
  const problems = parsed.diagnostics.filter(({ severity }) => severity === "error");
  if (problems.length > 0)
    throw new CliError("usage", problems.map(({ message }) => message).join("\n"));
  const after = parsed.toObject();
  const change: Record<string, string | null> = {};
  for (const name of Object.keys(before)) if (!Object.hasOwn(after, name)) change[name] = null;
  for (const [name, value] of Object.entries(after))
    if (before[name] !== value) change[name] = value;
  return change;
}
