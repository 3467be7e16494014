import { Locator } from "../locate.ts";
import { parse } from "../parse.ts";
import type { Entry } from "../tree.ts";
import { type Peer, type PeerName, peers } from "./peers.ts";
import { type PeerProcess, type PeerReading, readAs } from "./read.ts";

/**
 * What a tool does with one entry: `kept` as it is; `renamed`; `cut` (part of the command is lost)
 * or `changed` otherwise; `dropped` without a word; `overridden` by another of the same name;
 * `run-twice` with it; `error` or `crash`: the tool refuses the whole file.
 */
export type CompatOutcome =
  | "kept"
  | "renamed"
  | "cut"
  | "changed"
  | "dropped"
  | "overridden"
  | "run-twice"
  | "error"
  | "crash";

/** One cell of the report. */
export interface CompatCell {
  readonly outcome: CompatOutcome;
  /** What the tool would run, where it runs something. */
  readonly name?: string;
  readonly command?: string;
  /** Why, for `error` and `crash`. */
  readonly message?: string;
}

/** One row: a line that at least one tool, or one of our dialects, takes for an entry. */
export interface CompatEntry {
  /** 1-based. */
  readonly line: number;
  /** As written, by the `lenient` dialect; else as the first tool that reads it has it. */
  readonly name: string;
  readonly command: string;
  readonly peers: Readonly<Record<PeerName, CompatCell>>;
}

/** One tool's view of the whole file. */
export interface CompatPeer extends PeerReading {
  readonly title: string;
  /** True when the tool runs every entry under its own name and with its whole command. */
  readonly portable: boolean;
  readonly note?: string;
}

/** What {@link compat} returns. */
export interface CompatReport {
  readonly entries: readonly CompatEntry[];
  readonly peers: Readonly<Record<PeerName, CompatPeer>>;
  /** True when every tool keeps every entry. */
  readonly portable: boolean;
}

/**
 * Says what each known Procfile tool would do with a file (spec/procfile.md §2 and §3.6). The
 * tools' rules are data of this package; nothing is run.
 */
export function compat(text: string): CompatReport {
  const names = Object.keys(peers) as PeerName[];
  const readings = new Map(names.map((name) => [name, readAs(peers[name], text)]));
  const reference = new Map<number, Pick<Entry, "name" | "command">>();
  // Tools count lines by LF alone, so the dialect's own count does not do after a lone CR.
  const locator = new Locator(text, false);
  const { tree } = parse(text, { dialect: "lenient", maxBytes: Number.POSITIVE_INFINITY });
  for (const { entry } of tree.lines) {
    if (!entry) continue;
    const { line } = locator.at(entry.nameRange.start.offset);
    if (!reference.has(line)) reference.set(line, { name: entry.rawName, command: entry.command });
  }
  const rows = new Map(reference);
  for (const { seen } of readings.values())
    for (const { line, name, command } of seen)
      if (!rows.has(line)) rows.set(line, { name, command });
  const indexed = new Map(names.map((name) => [name, index(peers[name], readings.get(name)!)]));
  const entries = [...rows]
    .sort(([a], [b]) => a - b)
    .map(([line, row]): CompatEntry => {
      const cells = names.map((name) => [name, cellOf(indexed.get(name)!, line, row)] as const);
      return { line, ...row, peers: Object.fromEntries(cells) as CompatEntry["peers"] };
    });
  const views = names.map((name) => {
    const peer: Peer = peers[name];
    const reading = readings.get(name)!;
    const portable =
      reading.failure === null && entries.every((entry) => entry.peers[name].outcome === "kept");
    const note = peer.note === undefined ? {} : { note: peer.note };
    return [name, { title: peer.title, portable, ...note, ...reading }] as const;
  });
  return {
    entries,
    peers: Object.fromEntries(views) as CompatReport["peers"],
    portable: views.every(([, { portable }]) => portable),
  };
}

interface Index {
  readonly failure: PeerReading["failure"];
  readonly seen: ReadonlyMap<number, PeerProcess>;
  readonly running: ReadonlySet<PeerProcess>;
  readonly twice: ReadonlySet<string>;
}

function index({ duplicates }: Peer, { failure, seen, processes }: PeerReading): Index {
  const byLine = new Map<number, PeerProcess>();
  const once = new Set<string>();
  const twice = new Set<string>();
  for (const process of seen) {
    // A line that a tool splits gives several; the first stands for the entry.
    if (!byLine.has(process.line)) byLine.set(process.line, process);
    if (once.has(process.name)) twice.add(process.name);
    once.add(process.name);
  }
  const running = new Set(processes);
  return { failure, seen: byLine, running, twice: duplicates === "both" ? twice : new Set() };
}

function cellOf(
  { failure, seen, running, twice }: Index,
  line: number,
  row: Pick<Entry, "name" | "command">,
): CompatCell {
  if (failure) {
    const at = failure.line === undefined ? "" : `line ${failure.line}: `;
    return { outcome: failure.kind, message: `${at}${failure.message}` };
  }
  const process = seen.get(line);
  if (!process) return { outcome: "dropped" };
  const { name, command } = process;
  const shown = { name, command };
  if (!running.has(process)) return { outcome: "overridden", ...shown };
  if (twice.has(name)) return { outcome: "run-twice", ...shown };
  if (name !== row.name) return { outcome: "renamed", ...shown };
  if (command === row.command) return { outcome: "kept", ...shown };
  const lost = row.command.slice(command.length);
  const cut = row.command.startsWith(command) && lost.trim() !== "";
  return { outcome: cut ? "cut" : "changed", ...shown };
}
