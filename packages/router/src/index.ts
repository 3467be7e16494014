export type { BackendAddress, DynoEventLike, DynoSource, LogSink } from "./contract.ts";
