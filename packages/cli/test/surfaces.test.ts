import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { endpoints } from "../../api/src/endpoints/index.ts";
import { createProgram } from "../src/program.ts";
import {
  areas,
  commandsOf,
  consoleEndpoints,
  libraries,
  surfacesPage,
  viewsOf,
  withoutCommand,
} from "./support/surfaces.ts";

const packages = join(import.meta.dirname, "../..");

test("docs/reference/surfaces.md is what the code says (write it with vitest run <file> -u)", async () => {
  await expect(surfacesPage(endpoints)).toMatchFileSnapshot("../../../docs/reference/surfaces.md");
});

test("every endpoint has a command, or a reason why not", () => {
  const bare = endpoints
    .filter((endpoint) => commandsOf(endpoint, endpoints).length === 0)
    .filter((endpoint) => withoutCommand(endpoint) === undefined)
    .map(({ method, path }) => `${method} ${path}`);
  expect(bare).toEqual([]);
});

test("every command of the page exists", () => {
  const program = createProgram({ terminal: {} } as Parameters<typeof createProgram>[0], "1.0.0");
  const names = new Set(program.commands.map((command) => command.name()));
  for (const endpoint of endpoints)
    for (const command of commandsOf(endpoint, endpoints))
      expect(names.has(command), command).toBe(true);
});

test("each of the six areas is on every surface", () => {
  for (const [area, resources] of Object.entries(areas)) {
    const of = endpoints.filter(({ resource }) => resources.includes(resource));
    expect(of.length, `${area}: API`).toBeGreaterThan(0);
    expect(of.flatMap((one) => commandsOf(one, endpoints)).length, area).toBeGreaterThan(0);
    expect(of.flatMap(viewsOf).length, `${area}: console`).toBeGreaterThan(0);
    expect(
      resources.some((resource) => resource in libraries),
      `${area}: library`,
    ).toBe(true);
  }
});

test.each(consoleEndpoints)("the %s view of the console asks for %s", (view, request) => {
  const [method = "", path = ""] = request.split(" ");
  expect(
    endpoints.some((one) => one.method === method && one.path === path),
    request,
  ).toBe(true);
  const text = readFileSync(join(packages, "console/src/views", `${view}-view.tsx`), "utf8");
  const words = path.split("/").filter((part) => part !== "" && !part.startsWith("{"));
  expect(text).toContain(words.at(-1));
  if (method !== "GET") expect(text).toContain(`method: "${method}"`);
});

test("every library call of the page exists", () => {
  for (const [name, member] of Object.values(libraries)) {
    const [type = "", method = ""] = member.split(".");
    const found = sourcesOf(name).some((text) => {
      const at = text.indexOf(`export class ${type} `);
      return at !== -1 && new RegExp(`^ {2}(async )?${method}[(<]`, "m").test(text.slice(at));
    });
    expect(found, `${name}: ${member}`).toBe(true);
  }
});

function sourcesOf(name: string): string[] {
  const files = { manifold: "manifold.ts", logplex: "logplex.ts", builder: "builder.ts" };
  const list = name === "router" ? ["table/route-table.ts"] : [files[name as keyof typeof files]];
  return list.map((file) => readFileSync(join(packages, name, "src", file), "utf8"));
}
