import { queryError } from "./errors.ts";

/** A value as it was written. */
export interface WrittenValue {
  readonly text: string;
  readonly quoted: boolean;
  readonly column: number;
}

/** A cursor over the text of a query. Columns are 1-based and count UTF-16 units. */
export class Scanner {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get column(): number {
    return this.at + 1;
  }

  get done(): boolean {
    return this.at >= this.text.length;
  }

  peek(ahead = 0): string {
    return this.text[this.at + ahead] ?? "";
  }

  skipSpace(): void {
    while (isSpace(this.peek())) this.at++;
  }

  /** Consumes `literal` when it stands here. */
  take(literal: string): boolean {
    if (!this.text.startsWith(literal, this.at)) return false;
    this.at += literal.length;
    return true;
  }

  /** Consumes a keyword followed by a space, a parenthesis, a bar or the end. */
  takeKeyword(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) return false;
    const after = this.text[this.at + word.length] ?? "";
    if (after !== "" && !isSpace(after) && !"()|".includes(after)) return false;
    this.at += word.length;
    return true;
  }

  takeWhile(accept: (character: string) => boolean): string {
    const start = this.at;
    while (!this.done && accept(this.peek())) this.at++;
    return this.text.slice(start, this.at);
  }

  /** A phrase in double quotes; `\"` and `\\` are the only escapes that lose their backslash. */
  quoted(): string {
    const start = this.column;
    this.at++;
    let out = "";
    for (;;) {
      if (this.done) {
        throw queryError("this quote is never closed", start, 'add the closing "');
      }
      const c = this.peek();
      this.at++;
      if (c === '"') return out;
      if (c === "\\" && (this.peek() === '"' || this.peek() === "\\")) {
        out += this.peek();
        this.at++;
      } else {
        out += c;
      }
    }
  }

  /** Runs to a space, `|` or a `)` that the word itself did not open. */
  bareWord(): string {
    let depth = 0;
    const start = this.at;
    while (!this.done) {
      const c = this.peek();
      if (isSpace(c) || c === "|") break;
      if (c === "(") depth++;
      if (c === ")" && depth-- === 0) break;
      this.at++;
    }
    return this.text.slice(start, this.at);
  }

  /** `/pattern/flags`; undefined and unmoved when no closing slash follows. */
  slashed(): { pattern: string; flags: string; column: number } | undefined {
    const start = this.at;
    let inClass = false;
    for (let i = start + 1; i < this.text.length; i++) {
      const c = this.text[i];
      if (c === "\\") i++;
      else if (c === "[") inClass = true;
      else if (c === "]") inClass = false;
      else if (c === "/" && !inClass) {
        this.at = i + 1;
        const flags = this.takeWhile(isLetterOrDigit);
        return { pattern: this.text.slice(start + 1, i), flags, column: start + 2 };
      }
    }
    return undefined;
  }
}

/** Space, tab, CR or LF. */
export function isSpace(c: string): boolean {
  return c === " " || c === "\t" || c === "\n" || c === "\r";
}

/** ASCII letter. */
export function isLetter(c: string): boolean {
  return (c >= "a" && c <= "z") || (c >= "A" && c <= "Z");
}

/** ASCII letter or digit. */
export function isLetterOrDigit(c: string): boolean {
  return isLetter(c) || (c >= "0" && c <= "9");
}
