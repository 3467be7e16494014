export type * from "./driver/contract.ts";
export type * from "./types.ts";
