export type { QueryPipeline } from "./pipeline.ts";
export { type CompileOptions, compileQuery, compileRedactor, type Query } from "./query.ts";
