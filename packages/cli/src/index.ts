export { ApiClient, type CallOptions, type Platform } from "./client/client.ts";
export {
  parseEvents,
  type ReadEventsOptions,
  readEvents,
  type ServerEvent,
} from "./client/events.ts";
export type { CommandContext } from "./context.ts";
export { CliError, type CliErrorCode } from "./errors.ts";
export { processTerminal, type Terminal } from "./output/terminal.ts";
export { run } from "./program.ts";
