import { parse } from "yaml";
import { BuilderError } from "../errors.ts";

const TYPE_NAME = /^[-\w]{1,128}$/;

/**
 * `default_process_types` of what `bin/release` printed, without a prototype. Nothing printed is
 * fine; other keys (`addons`, `config_vars`) belong to the platform and are not read.
 *
 * @throws BuilderError `build-failed` for what is not YAML of that form
 */
export function readRelease(text: string, buildpack: string): Record<string, string> {
  const types = Object.create(null) as Record<string, string>;
  let document: unknown;
  try {
    document = parse(text, { maxAliasCount: 10, logLevel: "error" });
  } catch (error) {
    throw invalid(buildpack, "is not YAML", error);
  }
  if (document === null || document === undefined) return types;
  if (typeof document !== "object") throw invalid(buildpack, "is not a map");
  const declared = (document as Record<string, unknown>)["default_process_types"];
  if (declared === null || declared === undefined) return types;
  if (typeof declared !== "object" || Array.isArray(declared))
    throw invalid(buildpack, "has `default_process_types` that is not a map");
  for (const [name, command] of Object.entries(declared)) {
    if (!TYPE_NAME.test(name) || typeof command !== "string" || command === "")
      throw invalid(buildpack, `has a process type that is not \`name: command\`, "${name}"`);
    types[name] = command;
  }
  return types;
}

function invalid(buildpack: string, problem: string, cause?: unknown): BuilderError {
  return new BuilderError(
    "build-failed",
    `The output of bin/release of ${buildpack} ${problem}. It must be YAML with \`default_process_types\`.`,
    { cause },
  );
}
