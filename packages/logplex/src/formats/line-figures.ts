import type { Channel } from "../channel/channel.ts";
import { followMessages } from "../channel/follow.ts";
import type { StoredMessage } from "../message.ts";
import { type LineMetric, parseKnownLine } from "./known-lines.ts";

/** Series of one channel; what comes beyond is counted and left out. */
const MAX_SERIES = 500;
const MAX_NAME = 64;
const HASH = 0x23;

/** One series of figures out of lines. */
export interface FigureSeries {
  readonly kind: LineMetric["kind"];
  readonly dyno: string;
  readonly name: string;
  readonly unit: string;
  /** Sum of all values; of a `sample` the latest one. */
  value: number;
  /** Lines that had one. */
  count: number;
}

/** Figures of one channel. */
export interface LineFigures {
  readonly channel: string;
  readonly series: Iterable<Readonly<FigureSeries>>;
  /** Figures that found no room among the series. */
  readonly leftOut: number;
  /** Idempotent. */
  close(): void;
}

/**
 * Makes metrics of lines that follow the l2met conventions, `count#name=1`, `sample#name=2MB` and
 * `measure#name=3ms`, from now on (spec/logplex.md §15).
 */
export function followFigures(channel: Channel): LineFigures {
  const series = new Map<string, FigureSeries>();
  let leftOut = 0;

  const add = (dyno: string, { kind, name, unit, value }: LineMetric): void => {
    const key = `${kind}\0${dyno}\0${name}\0${unit}`;
    let found = series.get(key);
    if (found === undefined) {
      if (series.size >= MAX_SERIES || name.length > MAX_NAME) {
        leftOut += 1;
        return;
      }
      found = { kind, dyno, name, unit, value: 0, count: 0 };
      series.set(key, found);
    }
    found.value = kind === "sample" ? value : found.value + value;
    found.count += 1;
  };
  const take = (message: StoredMessage): void => {
    if (!message.body.includes(HASH)) return;
    const line = parseKnownLine(message);
    if (line?.kind !== "metrics") return;
    // Only the platform may speak of a dyno other than the one that writes.
    const dyno = (message.source === "heroku" ? line.dyno : undefined) ?? message.procid;
    for (const metric of line.metrics) add(dyno, metric);
  };
  const close = followMessages(channel, take);
  return {
    channel: channel.id,
    get series() {
      return series.values();
    },
    get leftOut() {
      return leftOut;
    },
    close,
  };
}
