// One implementation: the supervisor of the process driver runs without this package's code.
export { LineSplitter } from "../../shim/lines.mjs";
