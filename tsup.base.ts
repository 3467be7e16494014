import { defineConfig } from "tsup";

/**
 * The one build recipe. A package passes only its entries, so that a move to another
 * bundler changes this file alone.
 */
export function recipe(entry: Record<string, string>) {
  return defineConfig((overrides) => ({
    entry,
    format: ["esm"],
    target: "node20",
    platform: "node",
    sourcemap: true,
    clean: true,
    splitting: true,
    // tsup injects `baseUrl`, which TypeScript 6 reports as deprecated (TS5101).
    dts:
      overrides.dts === false
        ? false
        : { compilerOptions: { ignoreDeprecations: "6.0", incremental: false } },
  }));
}
