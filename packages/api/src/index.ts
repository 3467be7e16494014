export type {
  AdministratorOptions,
  Api,
  ApiOptions,
  AuthOptions,
  DeployOptions,
  Interceptor,
  ListenOptions,
  TokenOptions,
} from "./api.ts";
export type { NewAccount } from "./auth/accounts.ts";
export { scopeVerbs } from "./auth/scopes.ts";
export { type Clock, systemClock } from "./clock.ts";
export { type ConsoleOptions, serveConsole } from "./console/console.ts";
export { createApi } from "./create-api.ts";
export {
  ApiEdge,
  type ApiEdgeOptions,
  type ApiEdgeSettings,
  type EdgeApi,
  openLocalAuthority,
} from "./edge/index.ts";
export { ApiError, type ApiErrorCode, apiErrors, type FieldProblem } from "./errors.ts";
export type { AuthorizeRequest } from "./http/dispatch.ts";
export type { RateLimitOptions } from "./http/rate-limit.ts";
export type { Logger } from "./logger.ts";
export type { DeployResult } from "./platform/builds.ts";
export type { PlatformLimits } from "./platform/platform.ts";
export type {
  BuilderPort,
  BuildSourcePort,
  LogplexPort,
  ManifoldPort,
  OneOffSessionPort,
  RendezvousPort,
  RoutesPort,
  SessionStreamsPort,
} from "./ports.ts";
export { backUpStore, restoreStore } from "./store/backup.ts";
export type { Presence } from "./store/presence.ts";
export { type OpenStoreOptions, openStore, type Store } from "./store/store.ts";
