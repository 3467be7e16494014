import { defineConfig, type Options } from "tsup";
import { recipe } from "../../tsup.base.ts";

const program = "dynokit-shim";
const main = recipe({
  index: "src/index.ts",
  testing: "src/testing/index.ts",
  "driver-check": "src/cli.ts",
}) as (overrides: Options) => Options;

export default defineConfig((overrides) => [
  { ...main(overrides), clean: [`!${program}.cjs`] },
  // The supervisor in one file, because each module of its own costs every supervisor a tenth of a megabyte;
  // and no ES module, because Node's loader of those costs it six.
  {
    entry: { [program]: "shim/shim.mjs" },
    format: ["cjs"],
    define: { "import.meta.url": "ownUrl" },
    banner: { js: 'const ownUrl = require("node:url").pathToFileURL(__filename).href;' },
    target: "node20",
    platform: "node",
    splitting: false,
    minifySyntax: true,
    minifyWhitespace: true,
    dts: false,
  },
]);
