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

/** A promise means: slow down. Loss is counted and announced, never silent. */
export interface LogSink {
  write(batch: LogBatch): void | Promise<void>;
}
