export type { CustomDrainContext, CustomDrainKind } from "./create-output.ts";
export type { DrainPreview } from "./drain-parts.ts";
export { DrainSet } from "./drain-set.ts";
export type {
  AddDrainOptions,
  DrainEvent,
  DrainInfo,
  DrainSetOptions,
  DrainTry,
} from "./drain-set-options.ts";
export type { BatchEncoder, EncodedBatch, FrameAnnouncement } from "./encode/encoder.ts";
export type { DrainHealth, DrainState } from "./health.ts";
export type { LedgerRecord, LedgerView, LossCause, LostRange } from "./ledger.ts";
export type { Resolve, ResolvedAddress } from "./net/lookup.ts";
export { DENIED_PORTS, type DrainPolicy } from "./net/policy.ts";
export type { DrainNotice } from "./notices.ts";
export type { DrainDialect, DrainOptions, ParsedDrainOptions } from "./options.ts";
export type { ReplayTicket } from "./replays.ts";
export type { DrainSource, SourceHold, SourceRead } from "./source.ts";
export type { DrainRecord, DrainStore, FrameBoundary } from "./store/drain-store.ts";
export { type FileDrainStoreOptions, fileDrainStore } from "./store/file-store.ts";
export { memoryDrainStore } from "./store/memory-store.ts";
export type { HttpTimeouts } from "./transport/http.ts";
export type { DrainTls } from "./transport/tls.ts";
export type {
  CertificateFacts,
  DrainTransport,
  OutgoingFrame,
  ProbeReport,
  SendOutcome,
} from "./transport/transport.ts";
export { type DrainKind, maskUrl } from "./url.ts";
