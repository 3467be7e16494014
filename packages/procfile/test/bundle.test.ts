import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";

const source = fileURLToPath(new URL("../src/", import.meta.url));

async function bundle(contents: string, platform: "browser" | "node" = "browser") {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: source, loader: "ts" },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    metafile: true,
    platform,
    target: "es2022",
  });
  return { code: outputFiles[0]!.contents, inputs: Object.keys(metafile.inputs) };
}

describe("in a browser", () => {
  test("the parser alone is under 15 kB minified", async () => {
    const { code } = await bundle('export { parse } from "./index.ts";');
    expect(code.byteLength).toBeLessThan(15_000);
  });

  test("the whole library bundles without Node and runs", async () => {
    const { code, inputs } = await bundle('export * from "./index.ts";');
    expect(inputs.filter((name) => name.includes("cli"))).toEqual([]);
    const url = `data:text/javascript;base64,${Buffer.from(code).toString("base64")}`;
    const library = await import(/* @vite-ignore */ url);
    expect(library.parse("web: a\n").names).toEqual(["web"]);
    expect(
      library.exportFormation("compose", { entries: [{ name: "web", command: "a" }] }),
    ).toHaveLength(1);
  });
});

test("only the command imports Node's modules", () => {
  for (const name of readdirSync(source, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts") || name === "cli.ts") continue;
    expect(readFileSync(join(source, name), "utf8"), name).not.toMatch(
      /from "node:|\bprocess\.(env|stdout|stderr|argv|platform)\b|\bBuffer\./,
    );
  }
});
