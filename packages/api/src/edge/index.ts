export { ApiEdge, type ApiEdgeOptions, type ApiEdgeSettings, type EdgeApi } from "./api-edge.ts";
export type { Edge, EdgeListenOptions, EdgeOptions } from "./edge.ts";
export type { GitAccess, GitAccessRequest, GitService } from "./git-access.ts";
export type { GitOptions } from "./git-endpoint.ts";
export type { GitPush, GitPushHandler } from "./git-push.ts";
export {
  type CertificateProvider,
  type EdgeCertificate,
  type LocalAuthority,
  type LocalAuthorityOptions,
  openLocalAuthority,
} from "./local-authority.ts";
export type { RendezvousSession, RendezvousStreams } from "./rendezvous.ts";
