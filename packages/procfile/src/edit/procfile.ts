import type { Dialect } from "../diagnostic.ts";
import { ProcfileError, quoted } from "../errors.ts";
import { type Procfile, parse } from "../parse.ts";
import type { TextEdit } from "../position.ts";
import { checkCommand, checkName } from "../stringify.ts";
import { type Change, Draft } from "./draft.ts";
import { appendLine, deleteLines, endOf, firstOfBlock, indexesOf, ownLineEnd } from "./lines.ts";

/** Options of {@link edit}. */
export interface EditOptions {
  /** Default `heroku`; `classic` is read-only. */
  readonly dialect?: Exclude<Dialect, "classic">;
}

/** Where {@link ProcfileEditor.move} puts an entry. */
export type MoveTarget =
  | { readonly before: string }
  | { readonly after: string }
  | { readonly to: "start" | "end" };

/** A Procfile under edit. Immutable: each method returns a new one. */
export interface ProcfileEditor {
  /** The text with every edit so far. */
  readonly text: string;
  /** All edits so far, in positions of the text that {@link edit} was given. */
  readonly edits: readonly TextEdit[];
  /** `text`, read. */
  readonly procfile: Procfile;
  /** Replaces only the command text, or adds a line after the last entry. */
  set(name: string, command: string): ProcfileEditor;
  /** Replaces only the name. */
  rename(from: string, to: string): ProcfileEditor;
  /** Deletes the line; with `comments` also the comment lines directly above it. */
  delete(name: string, options?: { readonly comments?: boolean }): ProcfileEditor;
  /** Moves the line, with the comment lines directly above it unless `comments` is false. */
  move(name: string, target: MoveTarget, options?: { readonly comments?: boolean }): ProcfileEditor;
  toString(): string;
}

/**
 * Begins an edit that leaves every byte alone that it doesn't have to change
 * (spec/procfile.md §3.4).
 *
 * @throws ProcfileError from the methods: `unknown-name`, `invalid-name`, `invalid-command`,
 * `name-taken`
 * @example
 * edit("web: a # old\n").set("worker", "b").rename("web", "www").text;
 */
export function edit(text: string, options: EditOptions = {}): ProcfileEditor {
  const { dialect = "heroku" } = options;
  return editorOf(Draft.of(text), dialect);
}

function editorOf(draft: Draft, dialect: Exclude<Dialect, "classic">): ProcfileEditor {
  const procfile = parse(draft.text, { dialect });
  const { lines, bom } = procfile.tree;
  const next = (changes: readonly Change[]) => editorOf(draft.change(changes), dialect);
  return {
    text: draft.text,
    get edits() {
      return draft.edits(dialect === "lenient");
    },
    procfile,
    set(name, command) {
      checkCommand(command);
      const entry = procfile.get(name);
      if (entry) {
        const { start, end } = entry.commandRange;
        return next([{ start: start.offset, end: end.offset, newText: command }]);
      }
      checkName(name, dialect);
      return next([appendLine(lines, `${name}: ${command}`, bom ? 1 : 0)]);
    },
    rename(from, to) {
      const indexes = indexesOf(lines, from);
      checkName(to, dialect);
      if (to !== from && procfile.get(to))
        throw new ProcfileError(
          "name-taken",
          `${quoted(to)} exists already. Delete it first, or choose another name.`,
          { from, to },
        );
      return next(
        indexes.map((index) => {
          const { start, end } = lines[index]!.entry!.nameRange;
          return { start: start.offset, end: end.offset, newText: to };
        }),
      );
    },
    delete: (name, { comments = false } = {}) => next(deleteLines(lines, name, comments)),
    move: (name, target, { comments = true } = {}) =>
      next(moveLines(procfile, name, target, comments)),
    toString: () => draft.text,
  };
}

function moveLines(
  { tree: { lines } }: Procfile,
  name: string,
  target: MoveTarget,
  comments: boolean,
): Change[] {
  const blocks = indexesOf(lines, name).map((index) => ({
    first: comments ? firstOfBlock(lines, index) : index,
    last: index,
  }));
  const destination = destinationOf(lines, target);
  const lineEnd = ownLineEnd(lines);
  const inside = blocks.some(
    ({ first, last }) => destination >= lines[first]!.offset && destination <= endOf(lines[last]!),
  );
  if (inside && blocks.length === 1) return [];
  let moved = "";
  const changes: Change[] = [];
  for (const { first, last } of blocks) {
    const start = lines[first]!.offset;
    const end = endOf(lines[last]!);
    for (const { text, eol } of lines.slice(first, last + 1)) moved += text + (eol || lineEnd);
    const before = lines[first - 1];
    // The last line has no line end of its own, so the one before it gives its up.
    const cut = lines[last]!.eol === "" && before ? before.eol.length : 0;
    changes.push({ start: start - cut, end, newText: "" });
  }
  const lastLine = lines.at(-1)!;
  const open = destination === endOf(lastLine) && lastLine.eol === "";
  const newText = open ? lineEnd + moved.slice(0, -lineEnd.length) : moved;
  changes.push({ start: destination, end: destination, newText });
  return changes;
}

function destinationOf(lines: Procfile["tree"]["lines"], target: MoveTarget): number {
  if ("before" in target)
    return lines[firstOfBlock(lines, indexesOf(lines, target.before).at(-1)!)]!.offset;
  if ("after" in target) return endOf(lines[indexesOf(lines, target.after).at(-1)!]!);
  const entries = lines.flatMap(({ kind }, index) => (kind === "entry" ? [index] : []));
  if (target.to === "end") return endOf(lines[entries.at(-1)!]!);
  return lines[firstOfBlock(lines, entries[0]!)]!.offset;
}
