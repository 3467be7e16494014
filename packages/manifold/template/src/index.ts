export type { TemplateDriverOptions } from "./driver.ts";
export { templateDriver } from "./driver.ts";
