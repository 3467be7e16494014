import type { DiagnosticCode, Dialect } from "./diagnostic.ts";
import { messages } from "./messages.ts";
import { isEdgeUnit, isNameUnit, maxNameLength, normaliseName, repairName } from "./name.ts";
import type { Report } from "./parse.ts";
import { type Range, rangeInLine } from "./position.ts";
import type { Segment } from "./scan.ts";
import type { Entry, LineKind, LineNode } from "./tree.ts";

const tab = 9;
const space = 32;
const hash = 35;
const slash = 47;
const colon = 58;

const isBlank = (unit: number) => unit === space || unit === tab;

/** Reads one line by the grammar of spec/procfile.md §1.2 and the tables of §3.1. */
export function readLine(
  text: string,
  segment: Segment,
  dialect: Exclude<Dialect, "classic">,
  state: { conflict: boolean },
  report: Report,
): LineNode {
  const { start, end, eol, line, lineStart } = segment;
  const node = (kind: LineKind, entry?: Entry): LineNode => {
    const column = start - lineStart + 1;
    const content = text.slice(start, end);
    // Spelt out twice: spreading an optional member costs more than all the rest of the line.
    return entry
      ? { kind, offset: start, line, column, text: content, eol, entry }
      : { kind, offset: start, line, column, text: content, eol };
  };
  const range = (from: number, to: number) => rangeInLine(line, lineStart, from, to);
  let first = start;
  while (first < end && isBlank(text.charCodeAt(first))) first++;
  if (first === end) return node("blank");
  const unit = text.charCodeAt(first);
  if (unit === hash) return node("comment");
  if (unit === slash && first + 1 < end && text.charCodeAt(first + 1) === slash) {
    const marker = range(first, first + 2);
    report("slash-comment", marker, messages.slashComment(), { range: marker, newText: "#" });
    return node(dialect === "lenient" ? "comment" : "invalid");
  }
  if (first === start && isConflictMarker(text, start, end, state.conflict)) {
    state.conflict = true;
    report("merge-conflict", range(start, end), messages.conflict(text.slice(start, start + 7)));
    return node("invalid");
  }
  let separator = first;
  while (separator < end && text.charCodeAt(separator) !== colon) separator++;
  if (separator === end) {
    reportMissingColon(text, first, segment, dialect, range, report);
    return node("invalid");
  }
  if (separator === first) {
    report("empty-name", range(separator, separator + 1), messages.emptyName());
    return node("invalid");
  }
  if (first > start) reportLeadingSpace(range(start, first), report);
  let nameEnd = separator;
  while (isBlank(text.charCodeAt(nameEnd - 1))) nameEnd--;
  const rawName = text.slice(first, nameEnd);
  let good = checkName(rawName, first, dialect, range, report);
  if (nameEnd < separator) {
    const gap = range(nameEnd, separator);
    report("space-before-colon", gap, messages.spaceBeforeColon(rawName), {
      range: gap,
      newText: "",
    });
    if (dialect === "heroku") good = false;
  }
  let command = separator + 1;
  while (command < end && isBlank(text.charCodeAt(command))) command++;
  if (command === end) {
    report("missing-command", range(separator + 1, end), messages.missingCommand(rawName));
    good = false;
  }
  const nul = text.slice(first, end).indexOf("\0");
  if (nul !== -1) {
    report("nul", range(first + nul, first + nul + 1), messages.nul(rawName));
    good = false;
  }
  if (!good) return node("invalid");
  return node("entry", {
    name: dialect === "heroku" ? normaliseName(rawName) : rawName,
    rawName,
    command: text.slice(command, end),
    line,
    nameRange: range(first, nameEnd),
    commandRange: range(command, end),
  });
}

function reportLeadingSpace(blanks: Range, report: Report): void {
  report("leading-space", blanks, messages.leadingSpace(), { range: blanks, newText: "" });
}

function isConflictMarker(text: string, start: number, end: number, inside: boolean): boolean {
  const marker = text[start];
  // The base section of a three-way marker; alone it could be anything, so it needs an opening.
  if (marker !== "<" && marker !== "=" && marker !== ">" && !(marker === "|" && inside))
    return false;
  if (end - start < 7) return false;
  for (let index = start + 1; index < start + 7; index++) if (text[index] !== marker) return false;
  return end - start === 7 || text[start + 7] === " ";
}

function reportMissingColon(
  text: string,
  first: number,
  { start, end }: Segment,
  dialect: Dialect,
  range: (from: number, to: number) => Range,
  report: Report,
): void {
  let wordEnd = first;
  while (wordEnd < end && !isBlank(text.charCodeAt(wordEnd))) wordEnd++;
  let rest = wordEnd;
  while (rest < end && isBlank(text.charCodeAt(rest))) rest++;
  const word = text.slice(first, wordEnd);
  const name = dialect === "heroku" ? normaliseName(word) : word;
  // A colon helps only where a usable name and a command would be left on its two sides.
  const helps =
    rest < end &&
    name.length <= maxNameLength[dialect] &&
    repairName(word, dialect) === name &&
    !text.slice(rest, end).includes("\0");
  if (helps && first > start) reportLeadingSpace(range(start, first), report);
  const fix =
    name === word
      ? { range: range(wordEnd, wordEnd), newText: ":" }
      : { range: range(first, wordEnd), newText: `${name}:` };
  report("missing-colon", range(first, end), messages.missingColon(word), helps ? fix : undefined);
}

/** Reports what is wrong with a name; true when the dialect can use it. */
function checkName(
  raw: string,
  offset: number,
  dialect: Exclude<Dialect, "classic">,
  range: (from: number, to: number) => Range,
  report: Report,
): boolean {
  const { length } = raw;
  const whole = range(offset, offset + length);
  let good = true;
  if (length > maxNameLength[dialect]) {
    good = false;
    report("name-too-long", whole, messages.nameTooLong(length, maxNameLength[dialect]));
  }
  let bad = 0;
  // NUL has a diagnostic of its own.
  while (bad < length && (isNameUnit(raw.charCodeAt(bad)) || raw.charCodeAt(bad) === 0)) bad++;
  if (bad < length) {
    const character = String.fromCodePoint(raw.codePointAt(bad)!);
    const suggestion = repairName(raw, dialect);
    const allowed =
      dialect === "heroku"
        ? "lower-case ASCII letters, digits and dashes"
        : 'ASCII letters, digits, "_" and "-"';
    report(
      "invalid-name-char",
      range(offset + bad, offset + bad + character.length),
      messages.nameChar(character, raw, suggestion, allowed),
      suggestion ? smallestEdit(raw, suggestion, offset, range) : undefined,
    );
    return false;
  }
  if (dialect === "lenient") return good;
  let from = 0;
  let to = length;
  while (from < length && isEdgeUnit(raw.charCodeAt(from))) from++;
  while (to > from && isEdgeUnit(raw.charCodeAt(to - 1))) to--;
  const core = raw.slice(from, to);
  const normalised = normaliseName(core);
  const trim = (left: number, right: number, code: DiagnosticCode) => {
    if (left === right) return;
    good = false;
    const edge = range(offset + left, offset + right);
    const message = messages.nameEdge(raw, normalised);
    report(code, edge, message, core ? { range: edge, newText: "" } : undefined);
  };
  trim(0, from, "invalid-name-edge");
  if (normalised !== core) {
    const inner = range(offset + from, offset + to);
    report("name-normalised", inner, messages.normalised(core, normalised), {
      range: inner,
      newText: normalised,
    });
  }
  trim(to, length, "invalid-name-edge");
  return good;
}

/** The edit without what both have in common at their ends, so that one bad letter is one letter. */
function smallestEdit(
  from: string,
  to: string,
  offset: number,
  range: (from: number, to: number) => Range,
) {
  const shorter = Math.min(from.length, to.length);
  let head = 0;
  while (head < shorter && from[head] === to[head]) head++;
  let tail = 0;
  while (tail < shorter - head && from.at(-1 - tail) === to.at(-1 - tail)) tail++;
  return {
    range: range(offset + head, offset + from.length - tail),
    newText: to.slice(head, to.length - tail),
  };
}
