import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { UsageError } from "./usage.ts";

/** The driver of the template has this name in the code. */
const PLACEHOLDER = "template";

export interface CreatedPackage {
  readonly name: string;
  readonly directory: string;
  readonly files: readonly string[];
}

/**
 * Copies the template of a driver package into a directory that is new or empty. The driver is
 * called as the package, without its scope and the word `driver`.
 */
export async function createDriverPackage(path: string, name?: string): Promise<CreatedPackage> {
  const directory = resolve(path);
  const packageName = name ?? basename(directory).toLowerCase();
  if (!/^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/.test(packageName)) {
    throw new UsageError(
      `"${packageName}" can't be the name of a package; give --name with small letters, digits, "-" and "."`,
    );
  }
  if (existsSync(directory) && (await readdir(directory)).length > 0)
    throw new UsageError(`${directory} is not empty; nothing was written`);
  const own = createRequire(import.meta.url).resolve("@dynokit/manifold/package.json");
  const { version } = JSON.parse(await readFile(own, "utf8")) as { version: string };
  await mkdir(directory, { recursive: true });
  await cp(join(dirname(own), PLACEHOLDER), directory, { recursive: true });
  // npm leaves the one out of what it packs, and the other would make the template a package.
  await rename(join(directory, "gitignore"), join(directory, ".gitignore"));
  await rename(join(directory, "manifest.json"), join(directory, "package.json"));
  const driver = driverName(packageName);
  const files = (await readdir(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  for (const file of files) {
    const text = await readFile(file, "utf8");
    await writeFile(
      file,
      text
        .replaceAll("dynokit-driver-template", packageName)
        .replaceAll(`${PLACEHOLDER}Driver`, `${camelCase(driver)}Driver`)
        .replaceAll("TemplateDriver", `${pascalCase(driver)}Driver`)
        .replaceAll(`"${PLACEHOLDER}"`, `"${driver}"`)
        .replaceAll("MANIFOLD_VERSION", version),
    );
  }
  return {
    name: packageName,
    directory,
    files: files.map((file) => file.slice(directory.length + 1)).sort(byText),
  };
}

/** `@me/dynokit-driver-ssh` and `ssh-driver` are both `ssh`. */
function driverName(packageName: string): string {
  const words = packageName
    .replace(/^@[^/]*\//, "")
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "" && word !== "driver" && word !== "dynokit");
  const name = words.join("-");
  return /^[a-z]/.test(name) ? name : `my${name && `-${name}`}`;
}

function pascalCase(name: string): string {
  return name.replaceAll(/(?:^|-)([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

function camelCase(name: string): string {
  return name.replaceAll(/-([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

function byText(left: string, right: string): number {
  return left < right ? -1 : 1;
}
