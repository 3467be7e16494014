import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { lostBetween } from "../../../shim/losses.mjs";
import { segmentNumbers } from "../../../shim/segments.mjs";
import type { LogLines } from "../../driver/contract.ts";
import { DriverError } from "../../driver/errors.ts";
import type { AckFile } from "./ack-file.ts";
import { BEGIN, type Position, parseCursor } from "./log-position.ts";
import { lossNotice, MAX_LINES, SegmentReader } from "./segment-reader.ts";

/** How a reader learns that there may be more. */
export interface LogWaiter {
  /** Resolves at the next output, at the end of the dyno, or when the signal aborts. */
  wait(): Promise<void>;
  /** Nothing will be written any more. */
  readonly over: boolean;
}

/** What a reader wants. */
export interface ReadOptions {
  /** Lines in one batch at most; default and limit 4096. */
  readonly maxLines?: number;
  readonly since?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lines from the segments on disk, oldest first, until the record of the exit. What was dropped
 * because nobody read shows as a notice with the number of lines. The memory of a batch is used again
 * when the next one is asked for.
 */
export async function* readLog(
  directory: string,
  ack: AckFile,
  waiter: LogWaiter,
  options: ReadOptions = {},
): AsyncGenerator<LogLines> {
  const { signal, since, maxLines = MAX_LINES } = options;
  let from: Position;
  if (since === undefined) from = ack.read() ?? BEGIN;
  else {
    const parsed = parseCursor(since);
    if (!parsed) {
      throw new DriverError("invalid-spec", `"${since}" is not a cursor of this driver's logs`);
    }
    from = parsed;
  }
  while (!signal?.aborted) {
    const oldest = segmentNumbers(directory).find((number) => number >= from.segment);
    if (oldest === undefined) {
      if (waiter.over) return;
      await waiter.wait();
      continue;
    }
    if (oldest > from.segment) {
      const lost = lostBetween(directory, from.segment, oldest, from.lines);
      from = { segment: oldest, offset: 0, lines: 0, within: 0 };
      if (lost > 0) yield lossNotice(lost, "nobody read them in time", Date.now(), from);
    }
    let fd: number;
    try {
      fd = openSync(join(directory, `log.${from.segment}`), "r");
    } catch {
      // Dropped between the look and the opening: the next look finds out.
      continue;
    }
    const segment = new SegmentReader(fd, from, maxLines);
    try {
      for (let looked = false; ; ) {
        // Asked before reading: what comes first is then surely complete.
        const over = waiter.over;
        const next = looked && existsSync(join(directory, `log.${from.segment + 1}`));
        if (segment.read()) {
          looked = false;
          for (let batch = segment.next(); batch; batch = segment.next()) {
            yield batch;
            if (signal?.aborted) return;
          }
          if (segment.ended) return;
          // Nobody else of this process would have a turn while a dyno prints without an end; what this
          // one reads into is another's meanwhile, so that many such dynos take no more than a few.
          segment.rest();
          await turn();
        } else if (segment.gone) break;
        else if (!looked) looked = true;
        else if (next || isPassed(directory, from.segment)) break;
        else if (over || signal?.aborted) return;
        else {
          segment.rest();
          await waiter.wait();
          if (signal?.aborted) return;
        }
      }
      from = segment.position;
    } finally {
      segment.rest();
      closeSync(fd);
    }
    ack.leave(from.segment, from.offset);
    from = { segment: from.segment + 1, offset: 0, lines: 0, within: 0 };
  }
}

/** Whether the writer has left a segment whose successor was dropped already. */
const isPassed = (directory: string, segment: number) =>
  !existsSync(join(directory, `log.${segment}`)) &&
  segmentNumbers(directory).some((number) => number > segment);
