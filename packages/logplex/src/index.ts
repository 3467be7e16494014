export type { LogBatch, LogSink } from "./contract.ts";
