import { checkEnvKey, type EnvFile, parseEnv } from "../env/parse.ts";
import { quoteEnvValue } from "../env/stringify.ts";
import { ProcfileError } from "../errors.ts";
import type { TextEdit } from "../position.ts";
import { type Change, Draft } from "./draft.ts";
import { appendLine, deleteLines, indexesOf } from "./lines.ts";

/** A `.env` file under edit. Immutable: each method returns a new one. */
export interface EnvEditor {
  readonly text: string;
  /** All edits so far, in positions of the text that {@link editEnv} was given. */
  readonly edits: readonly TextEdit[];
  readonly env: EnvFile;
  /** Replaces only the value, quoted where it must be, or adds a line after the last entry. */
  set(name: string, value: string): EnvEditor;
  rename(from: string, to: string): EnvEditor;
  delete(name: string, options?: { readonly comments?: boolean }): EnvEditor;
  toString(): string;
}

/**
 * Begins an edit of a `.env` file that leaves every byte alone that it doesn't have to change.
 *
 * @throws ProcfileError from the methods: `unknown-name`, `name-taken`, `invalid-env-key`,
 * `invalid-env-value`
 */
export function editEnv(text: string): EnvEditor {
  return editorOf(Draft.of(text));
}

function editorOf(draft: Draft): EnvEditor {
  const env = parseEnv(draft.text);
  const { lines, bom } = env.tree;
  const next = (changes: readonly Change[]) => editorOf(draft.change(changes));
  return {
    text: draft.text,
    get edits() {
      return draft.edits(true);
    },
    env,
    set(name, value) {
      checkEnvKey(name);
      const newText = quoteEnvValue(value, name);
      const entry = env.entries.find((candidate) => candidate.name === name);
      if (!entry) return next([appendLine(lines, `${name}=${newText}`, bom ? 1 : 0)]);
      const { start, end } = entry.valueRange;
      return next([{ start: start.offset, end: end.offset, newText }]);
    },
    rename(from, to) {
      const indexes = indexesOf(lines, from);
      checkEnvKey(to);
      if (to !== from && env.get(to) !== undefined)
        throw new ProcfileError("name-taken", `${to} is set already. Delete it first.`, { to });
      return next(
        indexes.map((index) => {
          const { start, end } = lines[index]!.entry!.nameRange;
          return { start: start.offset, end: end.offset, newText: to };
        }),
      );
    },
    delete: (name, { comments = false } = {}) => next(deleteLines(lines, name, comments)),
    toString: () => draft.text,
  };
}
