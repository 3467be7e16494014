import { recipe } from "../../tsup.base.ts";

export default recipe({
  index: "src/index.ts",
  testing: "src/testing/index.ts",
  "driver-check": "src/cli.ts",
});
