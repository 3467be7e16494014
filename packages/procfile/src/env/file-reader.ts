import { quoted } from "../errors.ts";
import type { Locator } from "../locate.ts";
import type { LineEnd } from "../tree.ts";
import { readValue } from "./expand.ts";
import type { EnvReport, ParseEnvOptions } from "./parse.ts";
import type { EnvEntry, EnvNode } from "./tree.ts";

/** Reads a file by our own rules, node by node. Each place of the text is looked at a few times at most. */
export class EnvFileReader {
  readonly #text: string;
  readonly #options: ParseEnvOptions;
  readonly #maxBytes: number;
  readonly #locator: Locator;
  readonly #report: EnvReport;
  readonly #set = new Map<string, string>();
  readonly #nothingAfter = { '"': Number.POSITIVE_INFINITY, "'": Number.POSITIVE_INFINITY };

  constructor(
    text: string,
    options: ParseEnvOptions,
    maxBytes: number,
    locator: Locator,
    report: EnvReport,
  ) {
    this.#text = text;
    this.#options = options;
    this.#maxBytes = maxBytes;
    this.#locator = locator;
    this.#report = report;
  }

  read(from: number): EnvNode[] {
    const nodes: EnvNode[] = [];
    let offset = from;
    while (offset < this.#text.length) {
      const node = this.#readNode(offset);
      nodes.push(node);
      const end = offset + node.text.length;
      if (node.eol === "\r")
        this.#report(
          "lone-cr",
          end,
          end + 1,
          "A carriage return without a line feed ends this line. Replace it by a line feed.",
          "\n",
        );
      offset = end + node.eol.length;
    }
    return nodes;
  }

  #lineEnd(from: number): { end: number; eol: LineEnd } {
    const text = this.#text;
    const next = Math.min(this.#locator.lineAfter(from), text.length);
    if (text[next - 1] === "\n" && next > from)
      return next - 2 >= from && text[next - 2] === "\r"
        ? { end: next - 2, eol: "\r\n" }
        : { end: next - 1, eol: "\n" };
    if (text[next - 1] === "\r" && next > from) return { end: next - 1, eol: "\r" };
    return { end: next, eol: "" };
  }

  #readNode(start: number): EnvNode {
    const text = this.#text;
    const { end, eol } = this.#lineEnd(start);
    const { line } = this.#locator.at(start);
    const node = (kind: EnvNode["kind"], to = end, ending = eol, entry?: EnvEntry): EnvNode => ({
      kind,
      offset: start,
      line,
      text: text.slice(start, to),
      eol: ending,
      ...(entry ? { entry } : {}),
    });
    let first = skipBlanks(text, start, end);
    if (first === end) return node("blank");
    if (text[first] === "#") return node("comment");
    if (text.startsWith("export", first)) {
      const after = skipBlanks(text, first + 6, end);
      if (after > first + 6 && after < end && text[after] !== "=") first = after;
    }
    const equals = indexWithin(text, "=", first, end);
    if (equals === -1) {
      const word = quoted(text.slice(first, end).trim());
      this.#report(
        "missing-equals",
        first,
        end,
        `No "=" in ${word}. A line is KEY=value; begin it with # to make it a comment.`,
      );
      return node("invalid");
    }
    const nameEnd = skipBlanksBack(text, first, equals);
    const name = text.slice(first, nameEnd);
    if (!this.#checkKey(name, first, equals)) return node("invalid");
    if (nameEnd < equals) this.#spaces(nameEnd, equals);
    const valueStart = skipBlanks(text, equals + 1, end);
    const quote = text[valueStart];
    if (valueStart < end && (quote === '"' || quote === "'")) {
      if (valueStart > equals + 1) this.#spaces(equals + 1, valueStart);
      const close = this.#closing(quote, valueStart + 1);
      if (close === -1) {
        this.#report(
          "unclosed-quote",
          valueStart,
          end,
          `The value of ${name} begins with ${quote === '"' ? "a double" : "a single"} quote that never ends. Close it, or write the value without.`,
        );
        return node("invalid");
      }
      const last = this.#lineEnd(close);
      const good = this.#checkRest(close + 1, last.end);
      const entry = this.#entry(
        name,
        quote === '"' ? "double" : "single",
        first,
        nameEnd,
        valueStart,
        close + 1,
      );
      return good && entry
        ? node("entry", last.end, last.eol, entry)
        : node("invalid", last.end, last.eol);
    }
    // A comment needs white space before it: `A=b#c` and a URL's fragment keep their sharp.
    let comment = equals + 1;
    while (comment < end && !(text[comment] === "#" && isBlank(text[comment - 1]))) comment++;
    const valueEnd = skipBlanksBack(text, equals + 1, comment);
    if (valueEnd > equals + 1 && valueStart > equals + 1) this.#spaces(equals + 1, valueStart);
    const from = valueEnd > equals + 1 ? valueStart : equals + 1;
    const entry = this.#entry(name, "none", first, nameEnd, from, Math.max(from, valueEnd));
    return entry ? node("entry", end, eol, entry) : node("invalid");
  }

  #spaces(from: number, to: number): void {
    const message = 'Blanks next to the "=": some tools drop such a line. Delete them.';
    this.#report("space-around-equals", from, to, message, "");
  }

  #checkKey(name: string, first: number, equals: number): boolean {
    if (name === "") {
      const message = 'No key before the "=". A line is KEY=value.';
      this.#report("empty-key", equals, equals + 1, message);
      return false;
    }
    const bad = name.search(/[^A-Za-z0-9_]/);
    const at = /^[0-9]/.test(name) ? 0 : bad;
    if (at === -1) return true;
    this.#report(
      "invalid-key",
      first + at,
      first + at + (name.codePointAt(at)! > 0xffff ? 2 : 1),
      `${quoted(name)} can't be a key. Use letters, digits and "_", not beginning with a digit.`,
    );
    return false;
  }

  #checkRest(from: number, end: number): boolean {
    const text = this.#text;
    const rest = skipBlanks(text, from, end);
    if (rest === end || (text[rest] === "#" && rest > from)) return true;
    this.#report(
      "text-after-quote",
      rest,
      end,
      `${quoted(text.slice(rest, end))} follows the closing quote. Put it inside, or a blank and "#" before it to make it a comment.`,
    );
    return false;
  }

  #entry(
    name: string,
    quote: EnvEntry["quote"],
    first: number,
    nameEnd: number,
    from: number,
    to: number,
  ): EnvEntry | null {
    const text = this.#text;
    const inner = quote === "none" ? 0 : 1;
    const nul = indexWithin(text, "\0", from, to);
    if (nul !== -1) {
      this.#report("nul", nul, nul + 1, `NUL in the value of ${name}: delete it.`);
      return null;
    }
    const { expand } = this.#options;
    const lookup = expand && quote !== "single" ? (key: string) => this.#lookup(key) : null;
    let size = 0;
    const counted = lookup
      ? (key: string) => {
          const found = lookup(key);
          size += found?.length ?? 0;
          return size > this.#maxBytes ? "" : found;
        }
      : null;
    const value =
      quote === "single"
        ? text.slice(from + 1, to - 1)
        : readValue(text, from + inner, to - inner, quote === "double", counted, (code, a, b, m) =>
            this.#report(code, a, b, m, code === "unknown-escape" ? "\\\\" : undefined),
          );
    if (size > this.#maxBytes) {
      const message = `${name} expands to more than ${this.#maxBytes} bytes: it is left out.`;
      this.#report("expansion-too-large", from, to, message);
      return null;
    }
    this.#set.set(name, value);
    return {
      name,
      value,
      quote,
      line: this.#locator.at(first).line,
      nameRange: this.#locator.range(first, nameEnd),
      valueRange: this.#locator.range(from, to),
    };
  }

  #lookup(name: string): string | undefined {
    const { expand, envPrecedence = "file" } = this.#options;
    const own = this.#set.get(name);
    const outer =
      typeof expand === "object" && Object.hasOwn(expand, name) ? expand[name] : undefined;
    return envPrecedence === "process" ? (outer ?? own) : (own ?? outer);
  }

  #closing(quote: '"' | "'", from: number): number {
    // If nothing closes after one place, nothing does after a later one: asked once per file.
    if (from >= this.#nothingAfter[quote]) return -1;
    let index = from;
    for (;;) {
      index = this.#text.indexOf(quote, index);
      if (index === -1) {
        this.#nothingAfter[quote] = from;
        return -1;
      }
      if (quote === "'") return index;
      let slashes = 0;
      while (index - slashes > from && this.#text[index - slashes - 1] === "\\") slashes++;
      if (slashes % 2 === 0) return index;
      index++;
    }
  }
}

function isBlank(character: string | undefined): boolean {
  return character === " " || character === "\t";
}

function skipBlanks(text: string, from: number, end: number): number {
  let index = from;
  while (index < end && isBlank(text[index])) index++;
  return Math.min(index, end);
}

function skipBlanksBack(text: string, start: number, from: number): number {
  let index = from;
  while (index > start && isBlank(text[index - 1])) index--;
  return index;
}

/** Like `indexOf`, but never looks beyond `end`, which would be quadratic over many lines. */
function indexWithin(text: string, character: string, from: number, end: number): number {
  for (let index = from; index < end; index++) if (text[index] === character) return index;
  return -1;
}
