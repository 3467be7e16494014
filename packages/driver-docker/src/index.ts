export { dockerDriver } from "./driver.ts";
export type { DockerDriverOptions } from "./options.ts";
