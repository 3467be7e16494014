import { queryError } from "../errors.ts";
import {
  ANY,
  DIGIT,
  foldCase,
  NOT_NEWLINE,
  negate,
  normalize,
  type Ranges,
  SPACE,
  WORD,
} from "./char-set.ts";

/** Zero-width conditions. */
export type Assertion = "textStart" | "textEnd" | "lineStart" | "lineEnd" | "word" | "notWord";

/** Tree of a regular expression. */
export type RegexNode =
  | { readonly kind: "empty" }
  | { readonly kind: "set"; readonly ranges: Ranges }
  | { readonly kind: "sequence" | "choice"; readonly nodes: readonly RegexNode[] }
  | {
      readonly kind: "repeat";
      readonly node: RegexNode;
      readonly min: number;
      readonly max: number;
      readonly lazy: boolean;
    }
  | { readonly kind: "group"; readonly node: RegexNode; readonly index: number }
  | { readonly kind: "assert"; readonly assertion: Assertion };

/** Result of parsing: the tree and the names of its groups by index (1-based). */
export interface ParsedRegex {
  readonly node: RegexNode;
  readonly groups: number;
  readonly names: ReadonlyMap<string, number>;
}

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
}

const MAX_REPEAT = 1000;
const MAX_DEPTH = 64;

/**
 * Parses the RE2 dialect: no look-around and no back-references, since those can't be matched in
 * linear time. `column` is where the pattern starts in the query.
 */
export function parseRegex(pattern: string, flags: string, column: number): ParsedRegex {
  return new RegexParser(pattern, column).parse({
    i: flags.includes("i"),
    m: flags.includes("m"),
    s: flags.includes("s"),
  });
}

class RegexParser {
  readonly #characters: readonly string[];
  readonly #offsets: number[] = [];
  readonly #column: number;
  readonly #names = new Map<string, number>();
  #at = 0;
  #groups = 0;
  #flags: Flags = { i: false, m: false, s: false };

  constructor(pattern: string, column: number) {
    this.#characters = [...pattern];
    this.#column = column;
    let offset = 0;
    for (const character of this.#characters) {
      this.#offsets.push(offset);
      offset += character.length;
    }
    this.#offsets.push(offset);
  }

  parse(flags: Flags): ParsedRegex {
    this.#flags = flags;
    const node = this.#choice(0);
    if (this.#at < this.#characters.length) {
      throw this.#error('unmatched ")"', "write \\) for a literal parenthesis");
    }
    return { node, groups: this.#groups, names: this.#names };
  }

  #error(message: string, hint: string, at = this.#at): Error {
    return queryError(
      `in the regular expression: ${message}`,
      this.#column + (this.#offsets[at] ?? 0),
      hint,
    );
  }

  #peek(ahead = 0): string {
    return this.#characters[this.#at + ahead] ?? "";
  }

  #choice(depth: number): RegexNode {
    if (depth > MAX_DEPTH) {
      throw this.#error(`nested deeper than ${MAX_DEPTH}`, "remove some groups");
    }
    // Flags set inside a group, such as (?i), hold to the end of that group.
    const outer = this.#flags;
    const nodes = [this.#sequence(depth)];
    while (this.#peek() === "|") {
      this.#at++;
      nodes.push(this.#sequence(depth));
    }
    this.#flags = outer;
    return nodes.length === 1 ? (nodes[0] as RegexNode) : { kind: "choice", nodes };
  }

  #sequence(depth: number): RegexNode {
    const nodes: RegexNode[] = [];
    while (this.#at < this.#characters.length && this.#peek() !== "|" && this.#peek() !== ")") {
      const node = this.#atom(depth);
      if (node) nodes.push(this.#repeated(node));
    }
    return nodes.length === 1 ? (nodes[0] as RegexNode) : { kind: "sequence", nodes };
  }

  #repeated(atom: RegexNode): RegexNode {
    let node = atom;
    for (let count = 0; ; count++) {
      const start = this.#at;
      const bounds = this.#bounds();
      if (!bounds) return node;
      if (count > 0) {
        throw this.#error(
          "two repetitions in a row",
          "possessive forms such as a++ are not supported; group first: (?:a+)+",
          start,
        );
      }
      const lazy = this.#peek() === "?";
      if (lazy) this.#at++;
      node = { kind: "repeat", node, min: bounds[0], max: bounds[1], lazy };
    }
  }

  #bounds(): [number, number] | undefined {
    const c = this.#peek();
    if (c === "*" || c === "+" || c === "?") {
      this.#at++;
      return c === "*" ? [0, Infinity] : c === "+" ? [1, Infinity] : [0, 1];
    }
    if (c !== "{") return undefined;
    const rest = this.#characters.slice(this.#at, this.#at + 64).join("");
    const found = /^\{(\d+)(,(\d*))?\}/.exec(rest);
    // `{` that starts no repetition is a literal brace, as in RE2.
    if (!found) return undefined;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] ? Number(found[3]) : Infinity;
    if (min > MAX_REPEAT || (max !== Infinity && max > MAX_REPEAT)) {
      throw this.#error(`repeats more than ${MAX_REPEAT} times`, "use a smaller count");
    }
    if (max < min) throw this.#error("the repetition ends below its start", "swap the numbers");
    this.#at += (found[0] as string).length;
    return [min, max];
  }

  #set(ranges: Ranges): RegexNode {
    return { kind: "set", ranges: this.#flags.i ? foldCase(ranges) : ranges };
  }

  #atom(depth: number): RegexNode | undefined {
    const c = this.#peek();
    switch (c) {
      case "(":
        return this.#group(depth);
      case "[":
        return this.#set(this.#class());
      case ".":
        this.#at++;
        return { kind: "set", ranges: this.#flags.s ? ANY : NOT_NEWLINE };
      case "^":
        this.#at++;
        return { kind: "assert", assertion: this.#flags.m ? "lineStart" : "textStart" };
      case "$":
        this.#at++;
        return { kind: "assert", assertion: this.#flags.m ? "lineEnd" : "textEnd" };
      case "*":
      case "+":
      case "?":
        throw this.#error(`nothing to repeat before "${c}"`, `write \\${c} for the character`);
      case "\\":
        return this.#escape();
      default: {
        this.#at++;
        const cp = c.codePointAt(0) as number;
        return this.#set([cp, cp]);
      }
    }
  }

  #group(depth: number): RegexNode | undefined {
    const start = this.#at;
    this.#at++;
    let index = 0;
    let inner: Flags | undefined;
    if (this.#peek() === "?") {
      this.#at++;
      const c = this.#peek();
      const next = this.#peek(1);
      if (c === "=" || c === "!" || (c === "<" && (next === "=" || next === "!"))) {
        throw this.#error(
          "look-ahead and look-behind are not supported",
          "they can't be matched in linear time; use AND, NOT or a second /regex/",
          start,
        );
      }
      if (c === "<" || (c === "P" && next === "<")) {
        this.#at += c === "P" ? 2 : 1;
        index = this.#name(start);
      } else if (c === ":") {
        this.#at++;
      } else {
        inner = this.#inlineFlags(start);
        if (this.#peek() === ")") {
          this.#at++;
          this.#flags = inner;
          return undefined;
        }
        this.#at++;
      }
    } else {
      index = ++this.#groups;
    }
    const outer = this.#flags;
    if (inner) this.#flags = inner;
    const node = this.#choice(depth + 1);
    this.#flags = outer;
    if (this.#peek() !== ")") {
      throw this.#error("this group is never closed", "add )", start);
    }
    this.#at++;
    // An empty group still is something that may be repeated.
    return index === 0 ? node : { kind: "group", node, index };
  }

  #name(start: number): number {
    let name = "";
    while (this.#peek() !== ">" && this.#peek() !== "") name += this.#characters[this.#at++];
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || this.#peek() !== ">") {
      throw this.#error("bad name of a group", "write (?<name>…) with letters and digits", start);
    }
    this.#at++;
    if (this.#names.has(name)) {
      throw this.#error(`the group name "${name}" is used twice`, "choose another name", start);
    }
    this.#groups++;
    this.#names.set(name, this.#groups);
    return this.#groups;
  }

  #inlineFlags(start: number): Flags {
    const flags = { ...this.#flags };
    let value = true;
    let seen = false;
    for (; this.#peek() !== ")" && this.#peek() !== ":"; this.#at++) {
      const c = this.#peek();
      if (c === "-" && value) value = false;
      else if (c === "i" || c === "m" || c === "s") {
        flags[c] = value;
        seen = true;
      } else {
        throw this.#error("unknown kind of group", "known are (…), (?:…), (?<name>…), (?i)", start);
      }
    }
    if (!seen) throw this.#error("no flag in (?…)", "write (?i), (?m) or (?s)", start);
    return flags;
  }

  #escape(): RegexNode {
    const c = this.#peek(1);
    const assertion = ASSERTIONS[c];
    if (assertion && Object.hasOwn(ASSERTIONS, c)) {
      this.#at += 2;
      return { kind: "assert", assertion };
    }
    return this.#set(this.#escapedSet());
  }

  #escapedSet(): Ranges {
    const start = this.#at;
    const c = this.#peek(1);
    this.#at += 2;
    if (c === "") throw this.#error("ends in a backslash", "write \\\\ for a backslash", start);
    if (Object.hasOwn(CLASSES, c)) return CLASSES[c] as Ranges;
    if (Object.hasOwn(CONTROLS, c)) return [CONTROLS[c] as number, CONTROLS[c] as number];
    if (c === "x" || c === "u") return this.#hexadecimal(c, start);
    if (/[1-9]/.test(c) || c === "k") {
      throw this.#error(
        "back-references are not supported",
        "they can't be matched in linear time",
        start,
      );
    }
    if (/[A-Za-z0]/.test(c)) {
      throw this.#error(`unknown escape "\\${c}"`, `write ${c} for the character itself`, start);
    }
    const cp = c.codePointAt(0) as number;
    return [cp, cp];
  }

  #hexadecimal(kind: string, start: number): Ranges {
    const rest = this.#characters.slice(this.#at, this.#at + 8).join("");
    const found = /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{4})|([0-9A-Fa-f]{2}))/.exec(rest);
    const fixed = kind === "x" ? rest.slice(0, 2) : rest.slice(0, 4);
    const digits =
      found?.[1] ??
      (new RegExp(`^[0-9A-Fa-f]{${kind === "x" ? 2 : 4}}$`).test(fixed) ? fixed : undefined);
    const cp = digits === undefined ? Number.NaN : Number.parseInt(digits, 16);
    if (digits === undefined || !(cp <= 0x10ffff)) {
      throw this.#error("bad code point", "write \\x41, \\u0041 or \\x{1F600}", start);
    }
    this.#at += found?.[1] === undefined ? digits.length : digits.length + 2;
    return [cp, cp];
  }

  #class(): Ranges {
    const start = this.#at;
    this.#at++;
    const negated = this.#peek() === "^";
    if (negated) this.#at++;
    const ranges: number[] = [];
    let first = true;
    for (;;) {
      const c = this.#peek();
      if (c === "") throw this.#error("this class is never closed", "add ]", start);
      if (c === "]" && !first) break;
      first = false;
      this.#classItem(ranges);
    }
    this.#at++;
    const folded = this.#flags.i ? foldCase(normalize(ranges)) : normalize(ranges);
    return negated ? negate(folded) : folded;
  }

  #classItem(ranges: number[]): void {
    const posix = this.#posixClass();
    if (posix) {
      ranges.push(...posix);
      return;
    }
    const start = this.#at;
    const low = this.#classCharacter();
    if (low.length !== 2 || low[0] !== low[1]) {
      ranges.push(...low);
      return;
    }
    if (this.#peek() !== "-" || this.#peek(1) === "]" || this.#peek(1) === "") {
      ranges.push(...low);
      return;
    }
    this.#at++;
    const high = this.#classCharacter();
    if (high.length !== 2 || high[0] !== high[1] || (high[0] as number) < (low[0] as number)) {
      throw this.#error("bad range in a class", "write it from low to high: [a-z]", start);
    }
    ranges.push(low[0] as number, high[0] as number);
  }

  #posixClass(): Ranges | undefined {
    const rest = this.#characters.slice(this.#at, this.#at + 12).join("");
    const found = /^\[:(\^?)([a-z]+):\]/.exec(rest);
    const ranges =
      found && Object.hasOwn(POSIX, found[2] as string) ? POSIX[found[2] as string] : undefined;
    if (!found || !ranges) return undefined;
    this.#at += (found[0] as string).length;
    return found[1] ? negate(ranges) : ranges;
  }

  #classCharacter(): Ranges {
    if (this.#peek() === "\\") {
      if (this.#peek(1) === "b") {
        this.#at += 2;
        return [8, 8];
      }
      return this.#escapedSet();
    }
    const cp = this.#peek().codePointAt(0) as number;
    this.#at++;
    return [cp, cp];
  }
}

const ASSERTIONS: Readonly<Record<string, Assertion>> = {
  b: "word",
  B: "notWord",
  A: "textStart",
  z: "textEnd",
};

const CLASSES: Readonly<Record<string, Ranges>> = {
  d: DIGIT,
  D: negate(DIGIT),
  w: WORD,
  W: negate(WORD),
  s: SPACE,
  S: negate(SPACE),
};

const CONTROLS: Readonly<Record<string, number>> = {
  n: 10,
  r: 13,
  t: 9,
  f: 12,
  v: 11,
  a: 7,
  e: 27,
};

const POSIX: Readonly<Record<string, Ranges>> = {
  alnum: [48, 57, 65, 90, 97, 122],
  alpha: [65, 90, 97, 122],
  blank: [9, 9, 32, 32],
  cntrl: [0, 31, 127, 127],
  digit: DIGIT,
  graph: [33, 126],
  lower: [97, 122],
  print: [32, 126],
  punct: [33, 47, 58, 64, 91, 96, 123, 126],
  space: SPACE,
  upper: [65, 90],
  word: WORD,
  xdigit: [48, 57, 65, 70, 97, 102],
};
