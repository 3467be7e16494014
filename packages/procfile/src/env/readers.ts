import type { Locator } from "../locate.ts";
import type { LineEnd } from "../tree.ts";
import type { EnvEntry, EnvNode } from "./tree.ts";

/** Tools whose `.env` files can be read as they read them, for a migration (spec/procfile.md §4.2). */
export type EnvReader = "foreman" | "node" | "docker";

/** One assignment as a tool sees it, with the offsets of its parts. */
interface Found {
  readonly name: string;
  readonly value: string;
  readonly nameStart: number;
  readonly valueStart: number;
  readonly valueEnd: number;
  readonly quote: EnvEntry["quote"];
}

/** Reads `text` by the rules of another tool. What that tool drops is `invalid` in the tree. */
export function readForeignEnv(text: string, reader: EnvReader, locator: Locator): EnvNode[] {
  const nodes: EnvNode[] = [];
  let offset = 0;
  while (offset < text.length) {
    const found = reader === "node" ? readNode(text, offset) : null;
    let end = lineEnd(text, found ? found.valueEnd : offset);
    const simple =
      reader === "foreman"
        ? readForeman(text.slice(offset, end), offset)
        : reader === "docker"
          ? readDocker(text.slice(offset, end), offset)
          : found;
    let eol: LineEnd = end < text.length ? "\n" : "";
    if (eol && end > offset && text[end - 1] === "\r") {
      end--;
      eol = "\r\n";
    }
    const line = text.slice(offset, end);
    const node = { offset, line: locator.at(offset).line, text: line, eol };
    if (simple) nodes.push({ ...node, kind: "entry", entry: entryOf(simple, locator) });
    else {
      const bare = line.trim();
      nodes.push({
        ...node,
        kind: bare === "" ? "blank" : bare[0] === "#" ? "comment" : "invalid",
      });
    }
    offset = end + eol.length;
  }
  return nodes;
}

function entryOf(found: Found, locator: Locator): EnvEntry {
  const { name, value, quote, nameStart, valueStart, valueEnd } = found;
  return {
    name,
    value,
    quote,
    line: locator.at(nameStart).line,
    nameRange: locator.range(nameStart, nameStart + name.length),
    valueRange: locator.range(valueStart, valueEnd),
  };
}

function lineEnd(text: string, from: number): number {
  const lf = text.indexOf("\n", from);
  return lf === -1 ? text.length : lf;
}

/** foreman: no blanks anywhere, quotes only around the whole value. */
function readForeman(raw: string, offset: number): Found | null {
  const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
  const name = /^[A-Za-z_0-9]+(?==)/.exec(line)?.[0];
  if (name === undefined) return null;
  const written = line.slice(name.length + 1);
  const first = written[0];
  const wrapped =
    written.length > 1 && written.endsWith(first!) && (first === "'" || first === '"');
  const inner = wrapped ? written.slice(1, -1) : written;
  return {
    name,
    // foreman replaces every \n first, so an escaped backslash before an n is a newline there.
    value:
      wrapped && first === '"' ? inner.replaceAll("\\n", "\n").replaceAll(/\\(.)/g, "$1") : inner,
    quote: wrapped ? (first === '"' ? "double" : "single") : "none",
    nameStart: offset,
    valueStart: offset + name.length + 1,
    valueEnd: offset + line.length,
  };
}

/** docker's `--env-file`: everything after the `=` is the value, quotes and sharps included. */
function readDocker(raw: string, offset: number): Found | null {
  let line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
  let start = offset;
  if (offset === 0 && line.startsWith("\uFEFF")) {
    line = line.slice(1);
    start++;
  }
  const trimmed = line.replace(/^[ \t]+/, "");
  start += line.length - trimmed.length;
  const equals = trimmed.indexOf("=");
  if (trimmed.startsWith("#") || equals <= 0) return null;
  const name = trimmed.slice(0, equals);
  // docker refuses the whole file here; the line is left out instead.
  if (/[ \t]/.test(name)) return null;
  return {
    name,
    value: trimmed.slice(equals + 1),
    quote: "none",
    nameStart: start,
    valueStart: start + equals + 1,
    valueEnd: start + trimmed.length,
  };
}

const isSpace = (character: string | undefined) =>
  character !== undefined && /[ \t\n\v\f\r]/.test(character);

/** ASCII white space only: to Node a byte order mark is part of the key. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text[start])) start++;
  while (end > start && isSpace(text[end - 1])) end--;
  return text.slice(start, end);
}

const withoutCr = (text: string) => text.replaceAll("\r", "");

/** Node's `--env-file` and `util.parseEnv`. */
function readNode(text: string, offset: number): Found | null {
  const end = lineEnd(text, offset);
  let start = offset;
  while (start < end && isSpace(text[start])) start++;
  if (start === end || text[start] === "#") return null;
  const relative = text.slice(start, end).indexOf("=");
  if (relative === -1) return null;
  const equals = start + relative;
  const key = trim(withoutCr(text.slice(start, equals)));
  const exported = key.startsWith("export ");
  const name = exported ? key.slice(7) : key;
  const found = { name, nameStart: start + (exported ? 7 : 0) };
  let from = equals + 1;
  while (from < end && isSpace(text[from])) from++;
  if (from === end) return { ...found, value: "", quote: "none", valueStart: end, valueEnd: end };
  const first = text[from]!;
  if (first === '"' || first === "'" || first === "`") {
    const close = text.indexOf(first, from + 1);
    if (close !== -1) {
      const inner = withoutCr(text.slice(from + 1, close));
      return {
        ...found,
        value: first === '"' ? inner.replaceAll("\\n", "\n") : inner,
        quote: first === '"' ? "double" : "single",
        valueStart: from,
        valueEnd: close + 1,
      };
    }
  }
  const rest = withoutCr(text.slice(from, end));
  const hash = first === '"' || first === "'" || first === "`" ? -1 : rest.indexOf("#");
  const value = trim(hash === -1 ? rest : rest.slice(0, hash));
  return { ...found, value, quote: "none", valueStart: from, valueEnd: end };
}
