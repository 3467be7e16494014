import { createHead, type Head } from "../ring/head.ts";

const MAX_HEADS = 1024;

/** PRI of a line that has no frame (spec/logplex.md §4.5): local7, local3 for the router, syslog. */
export function priOf(source: string, procid: string, severity: number): number {
  const facility = source !== "heroku" ? 23 : procid === "router" ? 19 : 5;
  return facility * 8 + (severity & 7);
}

/** One {@link Head} per source, procid and severity, so that messages share it. */
export class HeadCache {
  readonly #heads = new Map<string, Head>();

  /** The head for lines without a frame. */
  forLines(source: string, procid: string, severity: number): Head {
    const key = `${severity}\0${procid}\0${source}`;
    let head = this.#heads.get(key);
    if (head === undefined) {
      // Names come from outside: forget all rather than grow without end.
      if (this.#heads.size >= MAX_HEADS) this.#heads.clear();
      head = createHead(priOf(source, procid, severity), source, procid);
      this.#heads.set(key, head);
    }
    return head;
  }
}
