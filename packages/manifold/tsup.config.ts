import { defineConfig, type Options } from "tsup";
import { recipe } from "../../tsup.base.ts";

const program = "dynokit-shim";
const main = recipe({
  index: "src/index.ts",
  testing: "src/testing/index.ts",
  "driver-check": "src/cli.ts",
}) as (overrides: Options) => Options;

export default defineConfig((overrides) => [
  { ...main(overrides), clean: [`!${program}.js`] },
  // The supervisor in one file: each module of its own costs every supervisor a tenth of a megabyte.
  {
    entry: { [program]: "shim/shim.mjs" },
    format: ["esm"],
    target: "node20",
    platform: "node",
    splitting: false,
    minifySyntax: true,
    minifyWhitespace: true,
    dts: false,
  },
]);
