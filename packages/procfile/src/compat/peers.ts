/** How a tool of the table in spec/procfile.md §2 reads a Procfile. */
export interface Peer {
  readonly title: string;
  /** Where lines end, apart from LF and CRLF. */
  readonly split: "lf" | "cr" | "unicode";
  /** Keeps the CR of a CRLF in the command. */
  readonly keepsCr?: boolean;
  /** Captures a name and a command. Its white space is the tool's own idea of it. */
  readonly entry: RegExp;
  /** Lines that are ignored on purpose. */
  readonly ignored: RegExp;
  /** Lines the tool crashes on, and what it says then. */
  readonly crash?: RegExp;
  readonly otherLines: "dropped" | "error";
  /** Names that stop it, although `entry` matched. */
  readonly badName?: (name: string) => boolean;
  readonly fold?: (name: string) => string;
  /** What becomes of a command: trimmed, cut at a comment. */
  readonly command?: (command: string) => string;
  /** Stops at an entry without a command. */
  readonly needsCommand?: boolean;
  readonly duplicates: "last-moves" | "last-stays" | "first" | "both" | "error" | "error-line";
  /** What a file without entries is; `bug` also where only comments or blanks are in it. */
  readonly empty: "fine" | "warning" | "error" | "bug";
  /** A longer line is an error. */
  readonly maxLine?: number;
  /** What a byte order mark does beyond becoming part of the first line. */
  readonly bom?: "error" | "crash";
  /** What a lone CR does beyond staying in the command. */
  readonly loneCr?: "error" | "cut" | "garbled";
  readonly dropsNul?: boolean;
  readonly note?: string;
}

/** White space as most languages have it: unlike JavaScript's it has no byte order mark. */
const isSpace = (character: string) => character !== "\uFEFF" && character.trim() === "";

/** Without a regular expression, which would be quadratic in a long run of blanks. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text[start]!)) start++;
  while (end > start && isSpace(text[end - 1]!)) end--;
  return text.slice(start, end);
}

const hashOrBlank = /^\s*(#|$)/;
const named = /^([A-Za-z0-9_-]+):[ \t\r\f\v]*([^\n]+)$/;
const foremanFamily = {
  split: "lf",
  entry: named,
  ignored: hashOrBlank,
  otherLines: "dropped",
} as const;

/** procfile-util cuts at a blank and a comment sign, also inside quotes. */
const cutComment = (command: string) =>
  trim(command.replace(/(^|[ \t])(#|\/\/)[^\n]*$/, (_, blank: string) => blank));

/** Any name up to the first colon, blanks around it dropped. */
const anyName = /^([^:\n]*):([^\n]*)$/;

const procfileUtil = {
  split: "lf",
  entry: anyName,
  fold: trim,
  ignored: /^\s*(#|\/\/|$)/,
  otherLines: "error",
  command: cutComment,
  needsCommand: true,
  duplicates: "error-line",
  empty: "error",
  maxLine: 65_536,
  bom: "error",
  loneCr: "garbled",
} as const;

/** The tools that {@link compat} compares: data, one row each. */
export const peers = {
  "heroku-classic": {
    title: "Heroku's old slug compiler",
    split: "cr",
    entry:
      /^[ \t\r\f\v\u00a0]*([A-Za-z0-9_-]+):?[ \t\r\f\v\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+([^\n]*)$/,
    ignored: hashOrBlank,
    otherLines: "dropped",
    duplicates: "last-moves",
    empty: "fine",
  },
  "heroku-cnb": {
    title: "heroku/buildpacks-procfile",
    split: "lf",
    entry: /^[ \t]*([^\n:]*):[ \t]*([^\n]*)$/,
    ignored: /^[ \t]*(#|$)/,
    otherLines: "error",
    badName: (name) => !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name),
    fold: (name) =>
      name.replaceAll(/[A-Z_]/g, (letter) => (letter === "_" ? "-" : letter.toLowerCase())),
    needsCommand: true,
    duplicates: "last-moves",
    empty: "bug",
    bom: "error",
    loneCr: "error",
  },
  "heroku-local": {
    title: "heroku local",
    split: "lf",
    entry: /^([ \t]*[^\s:]*):\s*([^\n]*)$/,
    ignored: /^(#|$|---)/,
    crash: /^\s+(#|$)/,
    otherLines: "error",
    badName: (name) => !/^[ \t]*[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*$/.test(name),
    command: (command) => command.split(/[\u2028\u2029]/, 1)[0] ?? "",
    duplicates: "last-stays",
    empty: "fine",
    bom: "crash",
    loneCr: "cut",
    note: "refused dashes in names before 2026-08-21",
  },
  foreman: {
    title: "foreman",
    ...foremanFamily,
    duplicates: "both",
    empty: "error",
  },
  honcho: {
    title: "honcho",
    ...foremanFamily,
    split: "unicode",
    entry: /^([A-Za-z0-9_-]+):\s*([^\n]+)$/,
    duplicates: "error",
    empty: "fine",
  },
  overmind: {
    title: "overmind, hivemind",
    ...foremanFamily,
    entry: /^([A-Za-z0-9_-]+):[ \t\r\f\v]+([^\n]+)$/,
    duplicates: "error",
    empty: "error",
  },
  goreman: {
    title: "goreman",
    split: "lf",
    entry: anyName,
    fold: trim,
    ignored: hashOrBlank,
    otherLines: "dropped",
    command: trim,
    duplicates: "both",
    empty: "error",
    loneCr: "garbled",
  },
  forego: {
    title: "forego",
    ...foremanFamily,
    duplicates: "both",
    empty: "fine",
    maxLine: 65_536,
    loneCr: "garbled",
  },
  paketo: {
    title: "paketo procfile buildpack",
    ...foremanFamily,
    duplicates: "last-stays",
    empty: "fine",
    maxLine: 65_536,
    loneCr: "garbled",
  },
  "procfile-util": {
    title: "dokku/procfile-util",
    ...procfileUtil,
    badName: (name) => !/^[A-Za-z0-9_-]{1,63}$/.test(name),
  },
  "procfile-util-strict": {
    title: "dokku/procfile-util --strict",
    ...procfileUtil,
    badName: (name) => !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name),
  },
  herokuish: {
    title: "herokuish",
    split: "lf",
    keepsCr: true,
    entry: anyName,
    fold: trim,
    ignored: hashOrBlank,
    otherLines: "dropped",
    command: (command) => command.replace(/^[ \t]+/, ""),
    duplicates: "first",
    empty: "fine",
    dropsNul: true,
    note: "loses quotes and splits words when it starts the command",
  },
} as const satisfies Record<string, Peer>;

/** A key of the comparison. */
export type PeerName = keyof typeof peers;
