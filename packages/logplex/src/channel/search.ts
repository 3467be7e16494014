import type { StoredMessage } from "../message.ts";
import type { Filter } from "./filter.ts";

/** How much of a channel one search may look at (spec/logplex.md §8.4). */
export interface SearchWork {
  /** Default 200,000. */
  readonly messages: number;
  /** Bytes of bodies; default 64 MiB. */
  readonly bytes: number;
}

/** Enough for any retention but a very long one; a search holds the process up for no longer. */
export const SEARCH_WORK: SearchWork = { messages: 200_000, bytes: 64 * 1024 * 1024 };

/** Result of {@link Channel.search}. */
export interface SearchResult {
  /** Oldest first. */
  readonly messages: StoredMessage[];
  /** Messages that were looked at. */
  readonly scanned: number;
  /**
   * Why it looks no further back: enough was found, there is nothing older, or the work allowed is
   * done. To go on after `limit` or `budget`, search with `beforeSeq: oldestSeq`.
   */
  readonly stoppedBy: "limit" | "retention" | "budget";
  /** Number of the oldest message that was looked at; undefined when there was none. */
  readonly oldestSeq: number | undefined;
}

/** Looks from the newest message back; what `newest` yields may be overwritten by nobody. */
export function search(
  newest: Iterable<StoredMessage>,
  filter: Filter | undefined,
  limit: number,
  work: SearchWork,
): SearchResult {
  // Stages need every match in order before the limit can apply.
  const staged = filter?.staged === true;
  const found: StoredMessage[] = [];
  let stoppedBy: SearchResult["stoppedBy"] = limit > 0 ? "retention" : "limit";
  let scanned = 0;
  let bytes = 0;
  let oldestSeq: number | undefined;
  for (const message of limit > 0 ? newest : []) {
    bytes += message.body.length;
    if (scanned >= work.messages || (bytes > work.bytes && scanned > 0)) {
      stoppedBy = "budget";
      break;
    }
    scanned += 1;
    oldestSeq = message.seq;
    if (!staged && filter !== undefined && !filter.test(message)) continue;
    found.push(message);
    if (!staged && found.length >= limit) {
      stoppedBy = "limit";
      break;
    }
  }
  const messages = found.reverse();
  return {
    messages: staged ? throughStages(filter, messages, limit) : messages,
    scanned,
    stoppedBy,
    oldestSeq,
  };
}

function throughStages(
  filter: Filter,
  messages: readonly StoredMessage[],
  limit: number,
): StoredMessage[] {
  const run = filter.run();
  const passed: StoredMessage[] = [];
  for (const message of messages) {
    passed.push(...run.push(message));
    if (run.done) break;
  }
  passed.push(...run.flush());
  return passed.slice(-limit);
}
