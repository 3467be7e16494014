import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { memoryDriver } from "../drivers/memory.ts";
import { processDriver } from "../drivers/process.ts";
import { memoryFixtures } from "../testing/memory-fixtures.ts";
import type { KitOptions, MakeDriver } from "../testing/types.ts";

/** A driver by its name, or by the module that makes it; rejects when there is none. */
export async function loadDriver(
  name: string,
): Promise<{ readonly make: MakeDriver; readonly options: KitOptions }> {
  if (name === "process") return { make: () => processDriver(), options: {} };
  if (name === "memory") {
    const { world } = memoryDriver();
    return {
      make: () => memoryDriver({ world, script: memoryFixtures, stats: true }),
      options: { observe: (word) => world.processes(word) },
    };
  }
  let module: { readonly make?: MakeDriver; readonly options?: KitOptions };
  try {
    module = await import(pathToFileURL(resolve(name)).href);
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const repair =
      code === "ERR_UNKNOWN_FILE_EXTENSION"
        ? `; name its JavaScript, or start this command by tsx, as "npm run check" of a package made by init does`
        : "";
    throw new Error(`The module "${name}" can't be loaded: ${message}${repair}`, { cause: error });
  }
  if (typeof module.make !== "function")
    throw new Error(`"${name}" does not export a function "make" that returns a driver`);
  return { make: module.make, options: module.options ?? {} };
}
