export {
  type ClusterSettings,
  RouterCluster,
  type RouterClusterOptions,
} from "./cluster/router-cluster.ts";
export type { BackendAddress, DynoEventLike, DynoSource, LogSink } from "./contract.ts";
export { ROUTER_ERROR_CODES, RouterError, type RouterErrorCode } from "./errors.ts";
export { FAILURES, type Failure, type HCode } from "./failures/codes.ts";
export type { EndedRequest, RequestTrace } from "./forward/observer.ts";
export type { ListenOptions, TlsListenOptions } from "./listen/listen-options.ts";
export type { AcmeChallenge, AcmeTlsChallenge, RouterSettings } from "./options.ts";
export {
  type AcceptOptions,
  type CloseOptions,
  type CloseResult,
  type ListenAddress,
  Router,
  type RouterOptions,
} from "./router.ts";
export type { IoRedisLike, NodeRedisLike, RedisLike } from "./sync/redis-link.ts";
export { type RedisSyncOptions, redisSync } from "./sync/redis-sync.ts";
export type { BackendRecord, BackendState } from "./table/backend.ts";
export {
  type AppRouteRecord,
  type Resolution,
  type RouteEvent,
  RouteTable,
  type RouteTableEvents,
  type RouteTableOptions,
} from "./table/route-table.ts";
export type { AppRouteOptions, AppTimeouts, BackendOptions } from "./table/settings.ts";
export type { DrainHere, RouteMessage, RouteSync, SyncConnection } from "./table/sync.ts";
export { type RouterClock, systemClock } from "./time/clock.ts";
export {
  type CertificateFolderOptions,
  followCertificateFolder,
} from "./tls/certificate-folder.ts";
export {
  type CertificatePair,
  CertificateStore,
  type CertificateStoreEvents,
  type StoredCertificate,
} from "./tls/certificate-store.ts";
