import { statSync } from "node:fs";
import type { DriverCapabilities, DynoSpec } from "../../driver/contract.ts";
import { DriverError } from "../../driver/errors.ts";

// The kernel's limit for one string, and a safe part of what all may take together.
const MAX_VARIABLE_BYTES = 131_071;
const MAX_ENVIRONMENT_BYTES = 1_900_000;

/** Refuses what can't work before anything is made; names the member, never a value of the environment. */
export function checkSpec(spec: DynoSpec, capabilities: DriverCapabilities): void {
  const { command } = spec;
  if (typeof command === "string" ? command.trim() === "" : !command[0])
    throw invalid("The command is empty");
  const words = typeof command === "string" ? [command] : command;
  if (words.some((word) => word.includes("\0"))) throw invalid("The command has a NUL byte");
  let total = 0;
  for (const [name, value] of Object.entries(spec.env)) {
    if (name === "" || /[=\0]/.test(name))
      throw invalid(`The variable name ${JSON.stringify(name)} can't be used`);
    if (typeof value !== "string") throw invalid(`The variable "${name}" is not a string`);
    if (value.includes("\0")) throw invalid(`The value of "${name}" has a NUL byte`);
    const bytes = Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
    if (bytes > MAX_VARIABLE_BYTES)
      throw invalid(
        `The variable "${name}" has ${bytes} bytes; ${MAX_VARIABLE_BYTES} are possible`,
      );
    total += bytes;
  }
  if (total > MAX_ENVIRONMENT_BYTES)
    throw invalid(`The environment has ${total} bytes; ${MAX_ENVIRONMENT_BYTES} are possible`);
  if (spec.slug && spec.cwd !== undefined) throw invalid('Give "slug" or "cwd", not both');
  if (spec.cwd !== undefined && !isDirectory(spec.cwd))
    throw invalid(`The directory "${spec.cwd}" does not exist`);
  if (spec.user !== undefined)
    throw unsupportedMember("user", 'every dyno gets a user of its own by the option "users"');
  if (spec.tty && !capabilities.tty)
    throw unsupportedMember("tty", "a terminal needs perl and /dev/ptmx");
  checkLimits(spec, capabilities);
}

function checkLimits({ limits }: DynoSpec, capabilities: DriverCapabilities): void {
  if (!limits) return;
  for (const [name, value] of Object.entries(limits)) {
    if (value !== undefined && !(Number.isFinite(value) && value > 0))
      throw invalid(`The limit "${name}" is ${value}; it must be above 0`);
  }
  // Sizes of dynos carry all limits, so those that can't be kept are ignored as declared.
  void capabilities;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function invalid(message: string): DriverError {
  return new DriverError("invalid-spec", message);
}

function unsupportedMember(name: string, hint: string): DriverError {
  return new DriverError("not-supported", `"${name}" is not supported by this driver: ${hint}`);
}
