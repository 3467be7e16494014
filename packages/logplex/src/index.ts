export {
  Channel,
  type ChannelOptions,
  type HistoryOptions,
} from "./channel/channel.ts";
export type { FilterOptions } from "./channel/filter.ts";
export type { Lag, SubscribeOptions, Subscription } from "./channel/subscription.ts";
export { type Clock, type RandomBytes, systemClock } from "./clock.ts";
export type { LogBatch, LogSink } from "./contract.ts";
export { LOGPLEX_ERRORS, LogplexError, type LogplexErrorCode } from "./errors.ts";
export { type DisplayOptions, displayLines, formatLine } from "./frame/display.ts";
export { MAX_LINE_BYTES, splitLine } from "./frame/split.ts";
export { formatTimestamp, parseTimestamp } from "./frame/timestamp.ts";
export type { HttpListenOptions } from "./input/http-listener.ts";
export { type ListenOptions, Logplex, type LogplexLimits, type LogplexOptions } from "./logplex.ts";
export type { MessageFlag, SplitInfo, StoredMessage, StructuredElement } from "./message.ts";
export { type CompileOptions, compileQuery, type Query } from "./query/index.ts";
export type { ReadResult, Retention } from "./ring/ring.ts";
export { messageToJson } from "./ring/ring-message.ts";
export type { Session, SessionOptions } from "./session/sessions.ts";
export { Tail, type TailEvent, type TailOptions } from "./tail/tail.ts";
export type { TokenOptions } from "./token/tokens.ts";
