export { sandboxDriver } from "./driver.ts";
export type { SandboxDriverOptions } from "./options.ts";
