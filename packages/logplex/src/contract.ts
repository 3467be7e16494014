/** Lines of one source, in order. The shape that the manifold, the router and the API write. */
export interface LogBatch {
  /** One app's stream; the id of the app. */
  readonly channel: string;
  /** `app` for output of dynos, `heroku` for lines of the platform. */
  readonly source: string;
  /** `web.1`, `router`, `api`. */
  readonly proc: string;
  readonly lines: readonly Uint8Array[];
  /** ms since the epoch. */
  readonly at: number;
  /** syslog severity 0–7; default 6. */
  readonly severity?: number;
}

/** A batch as its lines lie in memory: what comes so costs nothing for each line. */
export interface LogBlock extends Omit<LogBatch, "lines"> {
  /** Holds the lines; the sink's until it has returned, or what it returned has settled. */
  readonly bytes: Buffer;
  /** Line `i` is `bytes.subarray(starts[i], ends[i])`, without its line end; they lie in order, apart. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** How many lines there are: the arrays may be longer. */
  readonly count: number;
}

/** A promise means: slow down. Loss is counted and announced, never silent. */
export interface LogSink {
  write(batch: LogBatch): void | Promise<void>;
  /** As `write`; whoever has its lines in one buffer prefers it where it is offered. */
  writeBlock?(block: LogBlock): void | Promise<void>;
}
