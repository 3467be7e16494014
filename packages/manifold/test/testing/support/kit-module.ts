/** A process driver for `dynokit-driver-check`, with the options that are in `KIT_OPTIONS` as JSON. */
import { processKit } from "./process-kit.ts";

const kit = processKit(JSON.parse(process.env["KIT_OPTIONS"] ?? "{}"));
process.once("exit", kit.remove);

export const { make, options } = kit;
