import { createHead, type Head } from "../ring/head.ts";

const MAX_HEADS = 1024;

/** PRI of a line that has no frame (spec/logplex.md §4.5): local7, local3 for the router, syslog. */
export function priOf(source: string, procid: string, severity: number): number {
  const facility = source !== "heroku" ? 23 : procid === "router" ? 19 : 5;
  return facility * 8 + (severity & 7);
}

/**
 * A name that readers see before a line, as `source[procid]:`: what could end it early or begin
 * another line is `_`. Writers in this process are trusted with whose name they use, not with its
 * letters, which may come from users (spec/logplex.md §13.3).
 */
function safeName(name: string): string {
  return /^[\x21-\x5a\x5e-\x7e]{0,128}$/.test(name)
    ? name
    : name.replace(/[^\x21-\x5a\x5e-\x7e]/g, "_").slice(0, 128);
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
      // Readers must see a name: an empty one is what syslog writes for none.
      const [from, by] = [safeName(source) || "-", safeName(procid)];
      head = createHead(priOf(from, by, severity), from, by);
      this.#heads.set(key, head);
    }
    return head;
  }
}
