import type { Peer } from "./peers.ts";

/** A process as a tool would see it. */
export interface PeerProcess {
  readonly name: string;
  readonly command: string;
  /** 1-based, lines ending at LF. */
  readonly line: number;
}

/** What a tool makes of a whole file. */
export interface PeerReading {
  /** Why it runs nothing at all. */
  readonly failure: {
    readonly kind: "error" | "crash";
    readonly line?: number;
    readonly message: string;
  } | null;
  /** In the tool's own order, after its own rule for duplicates. */
  readonly processes: readonly PeerProcess[];
  /** Every entry it saw, before that rule. */
  readonly seen: readonly PeerProcess[];
}

interface Line {
  readonly text: string;
  readonly line: number;
}

function* linesOf(text: string, { split, keepsCr }: Peer): Generator<Line> {
  let line = 0;
  const parts = text.split("\n");
  for (const part of parts) {
    line++;
    const ended = line < parts.length && part.endsWith("\r") && !keepsCr;
    const whole = ended ? part.slice(0, -1) : part;
    if (split === "lf") yield { text: whole, line };
    else
      for (const piece of whole.split(split === "cr" ? "\r" : /[\r\v\f\x1c-\x1e\x85\u2028\u2029]/))
        yield { text: piece, line };
  }
}

/** Reads a file by a tool's rules. Linear: each line is matched once. */
export function readAs(peer: Peer, text: string): PeerReading {
  const seen: PeerProcess[] = [];
  const fail = (kind: "error" | "crash", message: string, line?: number): PeerReading => ({
    failure: { kind, message, ...(line === undefined ? {} : { line }) },
    processes: [],
    seen,
  });
  if (peer.bom && text.startsWith("\uFEFF"))
    return peer.bom === "crash"
      ? fail("crash", "the mark becomes part of the first name, then it crashes", 1)
      : fail("error", "the byte order mark is an invalid character", 1);
  let crashed: number | null = null;
  const names = new Set<string>();
  for (const { text: raw, line } of linesOf(text, peer)) {
    if (peer.maxLine !== undefined && raw.length >= peer.maxLine)
      return fail("error", `the line is longer than ${peer.maxLine} bytes`, line);
    if (peer.crash?.test(raw)) {
      crashed ??= line;
      continue;
    }
    if (peer.ignored.test(raw)) continue;
    const cr = raw.indexOf("\r");
    if (cr !== -1 && peer.loneCr === "error")
      return fail("error", "a carriage return is an error", line);
    const content = cr !== -1 && peer.loneCr === "cut" ? raw.slice(0, cr) : raw;
    const match = peer.entry.exec(peer.dropsNul ? content.replaceAll("\0", "") : content);
    if (!match || (match[1]?.trim() === "" && peer.otherLines === "dropped")) {
      if (peer.otherLines === "error") return fail("error", "the line is no entry", line);
      continue;
    }
    const rawName = match[1] ?? "";
    const name = peer.fold ? peer.fold(rawName) : rawName;
    if (peer.badName?.(name)) return fail("error", "the name is invalid", line);
    const command = peer.command ? peer.command(match[2]!) : match[2]!;
    if (peer.needsCommand && command.trim() === "")
      return fail("error", "there is no command", line);
    if (peer.duplicates === "error-line" && names.has(name))
      return fail("error", "the name is defined twice", line);
    names.add(name);
    seen.push({ name, command, line });
  }
  if (crashed !== null)
    return fail("crash", "it crashes, says there is no Procfile and runs npm start", crashed);
  return resolve(peer, text, seen, fail);
}

function resolve(
  peer: Peer,
  text: string,
  seen: readonly PeerProcess[],
  fail: (kind: "error", message: string) => PeerReading,
): PeerReading {
  if (seen.length === 0) {
    if (peer.empty === "error") return fail("error", "the file has no entries");
    if (peer.empty === "bug" && text !== "")
      return fail("error", "a file of comments or blanks is an error");
  }
  const byName = new Map<string, PeerProcess>();
  for (const process of seen) {
    const twice = byName.has(process.name);
    if (twice && peer.duplicates === "error") return fail("error", "a name is defined twice");
    if (twice && peer.duplicates === "first") continue;
    if (twice && peer.duplicates === "last-moves") byName.delete(process.name);
    byName.set(process.name, process);
  }
  return {
    failure: null,
    processes: peer.duplicates === "both" ? seen : [...byName.values()],
    seen,
  };
}
