/** One word of a command, as a shell would cut it, by offsets into the command. */
export interface Word {
  readonly start: number;
  readonly end: number;
  /** Without quotes and backslashes. Variables stay as they are written. */
  readonly value: string;
}

/** A variable that the shell would expand. */
export interface VariableUse {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** `${NAME:-x}` and the like say themselves what happens without it. */
  readonly guarded: boolean;
}

/** What the lint rules know of a command. */
export interface Command {
  readonly text: string;
  readonly words: readonly Word[];
  readonly variables: readonly VariableUse[];
  /** Offset of a quote that never ends, or -1. */
  readonly openQuote: number;
}

const separators = new Set([" ", "\t", ";", "&", "|", "(", ")", "<", ">"]);
const variable = /[A-Za-z_][A-Za-z0-9_]*/y;

/** Cuts a command in one pass. Not a shell: enough of one to see quotes, words and variables. */
export function readCommand(text: string): Command {
  const words: Word[] = [];
  const variables: VariableUse[] = [];
  let quote = "";
  let quoteStart = -1;
  let start = -1;
  let plain = 0;
  let parts: string[] = [];
  const flush = (to: number) => {
    if (to > plain) parts.push(text.slice(plain, to));
  };
  const close = (end: number) => {
    if (start === -1) return;
    flush(end);
    words.push({ start, end, value: parts.length === 1 ? parts[0]! : parts.join("") });
    start = -1;
    parts = [];
  };
  for (let index = 0; index < text.length; index++) {
    const character = text[index]!;
    if (quote === "'") {
      if (character === "'") {
        flush(index);
        plain = index + 1;
        quote = "";
      }
      continue;
    }
    if (!quote && separators.has(character)) {
      close(index);
      continue;
    }
    if (start === -1) {
      start = index;
      plain = index;
    }
    if (character === "\\") {
      flush(index);
      // What follows is literal, so it begins the next plain stretch.
      plain = index + 1;
      index++;
    } else if (character === quote || (!quote && (character === "'" || character === '"'))) {
      flush(index);
      plain = index + 1;
      if (!quote) quoteStart = index;
      quote = quote ? "" : character;
    } else if (character === "$") {
      const use = readVariable(text, index);
      if (use) variables.push(use);
    }
  }
  close(text.length);
  return { text, words, variables, openQuote: quote ? quoteStart : -1 };
}

function readVariable(text: string, start: number): VariableUse | null {
  const braced = text[start + 1] === "{";
  variable.lastIndex = start + (braced ? 2 : 1);
  const name = variable.exec(text)?.[0];
  if (name === undefined) return null;
  const end = variable.lastIndex;
  return { name, start, end: braced ? end + 1 : end, guarded: braced && text[end] !== "}" };
}
