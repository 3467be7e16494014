import { recipe } from "../../tsup.base.ts";

export default recipe({
  index: "src/index.ts",
  "http-proxy": "src/http-proxy/index.ts",
  testing: "src/testing/index.ts",
  worker: "src/worker.ts",
});
