import { quoted } from "./errors.ts";
import type { Entry } from "./tree.ts";

// Each says what is wrong, what was expected and how to repair it (spec/procfile.md §3.2).
export const messages = {
  tooLarge: (maxBytes: number) =>
    `The text is larger than ${maxBytes} bytes, so nothing of it was read. Move long commands into scripts, or raise maxBytes.`,
  bom: () =>
    "The file begins with a byte order mark (U+FEFF), which becomes part of the first name. Save it as UTF-8 without a BOM.",
  loneCr: () =>
    "A carriage return without a line feed. Lines end with LF or CRLF: replace it by a line feed.",
  noEntries: () =>
    'No process types are defined. Write one a line as "name: command", for example "web: node server.js".',
  missingColon: (word: string) =>
    `No colon in this line. A line is "name: command"; write a colon after ${quoted(word)}, or begin the line with # to make it a comment.`,
  emptyName: () =>
    'No name before the colon. A line is "name: command"; write the process type first, for example "web".',
  nameChar: (character: string, name: string, suggestion: string, allowed: string) =>
    `${describe(character)} can't be part of a name (${quoted(name)}). A name holds ${allowed}${suggestion ? `; write ${quoted(suggestion)}` : ""}.`,
  nameEdge: (name: string, suggestion: string) =>
    `The name ${quoted(name)} must begin and end with a letter or digit${suggestion ? `; write ${quoted(suggestion)}` : ""}.`,
  nameTooLong: (length: number, max: number) =>
    `The name has ${length} characters, ${max} are allowed. Choose a shorter one.`,
  normalised: (raw: string, name: string) =>
    `The name ${quoted(raw)} is read as ${quoted(name)}: names are lower case with dashes. Write ${quoted(name)}.`,
  spaceBeforeColon: (name: string) =>
    `Blanks between the name and the colon. Write ${quoted(`${name}:`)} without them.`,
  leadingSpace: () =>
    "Blanks before the name. They are dropped here, other tools skip such a line: delete them.",
  missingCommand: (name: string) =>
    `${quoted(name)} has no command. Write one after the colon, or delete the line.`,
  nul: (name: string) =>
    `A NUL character in the entry ${quoted(name)}: no process can be started with one. Delete it.`,
  slashComment: () => 'Comments begin with "#", not "//". Write "#".',
  conflict: (marker: string) =>
    `An unresolved merge: the marker ${quoted(marker)}. Keep one side and delete the marker lines.`,
  foreign: (format: string) =>
    `This looks like ${format}, not like a Procfile. A Procfile has one "name: command" a line and nothing else, for example "web: node server.js".`,
  duplicate: (loser: Entry, winner: Entry) =>
    `${quoted(loser.name)} is defined on line ${loser.line} and again on line ${winner.line}; the last definition wins. Delete line ${loser.line} or rename one of them.`,
};

function describe(character: string): string {
  if (character === " ") return "A space";
  if (character === "\t") return "A tab";
  const code = character.codePointAt(0) ?? 0;
  const shown = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  return code > 0x20 && code < 0x7f ? `"${character}"` : `The character ${shown}`;
}
