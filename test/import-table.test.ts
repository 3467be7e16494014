import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../packages/", import.meta.url));

// What each package may import of ours at run time. Siblings meet through structural interfaces.
const allowed: Record<string, readonly string[]> = {
  procfile: [],
  manifold: [],
  router: [],
  logplex: [],
  builder: ["procfile"],
  api: [],
  cli: ["procfile", "manifold", "router", "logplex"],
  console: [],
};
const typesOnly: Record<string, readonly string[]> = {
  api: ["procfile", "manifold", "router", "logplex", "builder"],
};

function sources(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(m?js|tsx?)$/.test(name))
    .map((name) => join(directory, name));
}

for (const name of readdirSync(root)) {
  const runtime = name.startsWith("driver-") ? ["manifold"] : allowed[name];
  test(`${name} imports only what the import table allows`, () => {
    expect(runtime, `${name} is not in the import table`).toBeDefined();
    for (const file of sources(join(root, name, "src"))) {
      const text = readFileSync(file, "utf8");
      for (const match of text.matchAll(
        /(import|export)\s+(type\s+)?[^;]*?from\s+["']@dynokit\/([a-z-]+)/g,
      )) {
        const target = match[3] as string;
        if (target === name) continue;
        const list = match[2] ? [...(typesOnly[name] ?? []), ...(runtime ?? [])] : (runtime ?? []);
        expect(list, `${file} imports @dynokit/${target}`).toContain(target);
      }
    }
  });
}
