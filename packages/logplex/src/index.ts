export type { Alert, AlertEvent, AlertOptions } from "./alert/alert.ts";
export { Channel } from "./channel/channel.ts";
export type {
  ChannelOptions,
  ChannelSettings,
  HistoryOptions,
  ProducerLoss,
} from "./channel/channel-options.ts";
export type { FilterOptions } from "./channel/filter.ts";
export type { ReadResult } from "./channel/read-result.ts";
export type { SearchResult, SearchWork } from "./channel/search.ts";
export type { Lag, SubscribeOptions, Subscription } from "./channel/subscription.ts";
export { type Clock, type RandomBytes, systemClock } from "./clock.ts";
export type { LogBatch, LogBlock, LogSink } from "./contract.ts";
export {
  type CertificateFacts,
  DENIED_PORTS,
  type DrainDialect,
  type DrainEvent,
  type DrainHealth,
  type DrainInfo,
  type DrainKind,
  type DrainOptions,
  type DrainPolicy,
  type DrainPreview,
  type DrainRecord,
  type DrainSource,
  type DrainState,
  type DrainStore,
  type DrainTls,
  type FrameBoundary,
  type HttpTimeouts,
  type LedgerRecord,
  type LedgerView,
  type LossCause,
  type LostRange,
  maskUrl,
  memoryDrainStore,
  type ProbeReport,
  type ReplayTicket,
  type Resolve,
  type ResolvedAddress,
  type SendOutcome,
  type SourceHold,
  type SourceRead,
} from "./drain/index.ts";
export { LOGPLEX_ERRORS, LogplexError, type LogplexErrorCode } from "./errors.ts";
export { type FirehoseEvent, type FirehoseOptions, FirehoseReader } from "./firehose/reader.ts";
export {
  type KnownLine,
  type LineMetric,
  logfmtPairs,
  parseKnownLine,
} from "./formats/known-lines.ts";
export { type DisplayOptions, displayLines, formatLine } from "./frame/display.ts";
export { type EncodeOptions, encodeFrame, type FrameFields } from "./frame/encode.ts";
export type { FrameFault, FrameFaultCode } from "./frame/fault.ts";
export { FrameParser, type FrameParserOptions, type Framing } from "./frame/frame-parser.ts";
export { MAX_LINE_BYTES, splitLine } from "./frame/split.ts";
export { formatStructuredData, parseStructuredData } from "./frame/structured-data.ts";
export { type InputDialect, SyslogParser } from "./frame/syslog-parser.ts";
export { formatTimestamp, parseTimestamp } from "./frame/timestamp.ts";
export type { Budget, RouterBudget } from "./input/budget.ts";
export type { HttpListenOptions } from "./input/http-listener.ts";
export type { HttpLogsOptions } from "./input/http-logs.ts";
export { LineStream, type LineStreamOptions } from "./input/line-stream.ts";
export type { SyslogListenOptions, SyslogTlsOptions } from "./input/syslog-listener.ts";
export type { UdpListenOptions } from "./input/udp-listener.ts";
export { Logplex } from "./logplex.ts";
export type {
  AddDrainOptions,
  ListenAddress,
  ListenOptions,
  ListenResult,
  LogplexDrainOptions,
  LogplexLimits,
  LogplexOptions,
  UpdateDrainOptions,
} from "./logplex-options.ts";
export type { AuditEntry, SwitchChange, Switches, TailsKilled } from "./manage/control-rods.ts";
export type { MessageFlag, SplitInfo, StoredMessage, StructuredElement } from "./message.ts";
export type { MetricsExport, MetricsExportOptions } from "./metrics/metrics-export.ts";
export { type CompileOptions, compileQuery, type Query } from "./query/index.ts";
export type { Retention } from "./ring/ring.ts";
export { messageToJson } from "./ring/ring-message.ts";
export type { Session, SessionOptions } from "./session/sessions.ts";
export type {
  BufferContext,
  ChannelSpool,
  Lease,
  LogBuffer,
  SpoolLevel,
} from "./spool/buffer.ts";
export { type DiskBufferOptions, diskBuffer } from "./spool/disk-buffer.ts";
export type { NatsClient } from "./spool/nats/client.ts";
export { type NatsBufferOptions, natsBuffer } from "./spool/nats/nats-buffer.ts";
export type { IoRedisClient, NodeRedisClient, RedisClient } from "./spool/redis/client.ts";
export { type RedisBufferOptions, redisBuffer } from "./spool/redis/redis-buffer.ts";
export { Tail, type TailEvent, type TailOptions } from "./tail/tail.ts";
export type { Credential, CredentialOptions, Permission } from "./token/credentials.ts";
export type { TokenOptions } from "./token/tokens.ts";
