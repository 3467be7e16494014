import { statSync } from "node:fs";
import { constants } from "node:os";
import type { DriverCapabilities, DynoSpec } from "./contract.ts";
import { DriverError } from "./errors.ts";

// The kernel's limit for one string, and a safe part of what all may take together.
const MAX_VARIABLE_BYTES = 131_071;
const MAX_ENVIRONMENT_BYTES = 1_900_000;

/** Whether a string can be the id of a dyno, and with it the name of a directory or a container. */
export function isDynoId(id: unknown): id is string {
  return typeof id === "string" && /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/.test(id);
}

/**
 * Refuses what no driver can run, before anything is made (spec/drivers.md §4.6): odd ids, empty
 * commands, NUL bytes, an environment that is too large for the kernel (128 KiB per variable,
 * 1.9 MB together), a missing `cwd`, a terminal where none is declared. Throws `invalid-spec` or
 * `not-supported`; names the member, never a value of the environment.
 */
export function checkSpec(spec: DynoSpec, capabilities: DriverCapabilities): void {
  const { command } = spec;
  if (!isDynoId(spec.id)) {
    throw invalid(
      `"${spec.id}" can't be the id of a dyno; use up to 128 letters, digits, ".", "_" and "-"`,
    );
  }
  if (typeof command === "string" ? command.trim() === "" : !command[0])
    throw invalid("The command is empty; give a program or a line for the shell");
  const words = typeof command === "string" ? [command] : command;
  if (words.some((word) => word.includes("\0"))) throw invalid("The command has a NUL byte");
  checkEnvironment(spec.env);
  if (spec.slug && spec.cwd !== undefined) throw invalid('Give "slug" or "cwd", not both');
  if (spec.cwd !== undefined && !statSync(spec.cwd, { throwIfNoEntry: false })?.isDirectory())
    throw invalid(`The directory "${spec.cwd}" does not exist`);
  if (spec.tty && !capabilities.tty)
    throw new DriverError("not-supported", 'This driver has no terminals; leave "tty" out');
  for (const [name, value] of Object.entries(spec.limits ?? {})) {
    if (value !== undefined && !(Number.isFinite(value) && value > 0))
      throw invalid(`The limit "${name}" is ${value}; it must be above 0`);
  }
}

/** The name of a signal of this system, `SIGTERM` or `SIGUSR1`; throws `invalid-spec` for another. */
export function checkSignal(name: string): NodeJS.Signals {
  if (Object.hasOwn(constants.signals, name)) return name as NodeJS.Signals;
  throw invalid(`"${name}" is not a signal; use a name such as SIGTERM or SIGUSR1`);
}

function checkEnvironment(env: DynoSpec["env"]): void {
  let total = 0;
  for (const [name, value] of Object.entries(env)) {
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
}

function invalid(message: string): DriverError {
  return new DriverError("invalid-spec", message);
}
