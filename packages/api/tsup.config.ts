import { recipe } from "../../tsup.base.ts";

export default recipe({ index: "src/index.ts", "store-command": "src/store-command.ts" });
