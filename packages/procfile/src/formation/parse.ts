import type { Diagnostic } from "../diagnostic.ts";
import { quoted } from "../errors.ts";
import { Locator } from "../locate.ts";
import type { Range } from "../position.ts";
import { nearest } from "../suggest.ts";
import { resolveFormation, type SizedQuantity } from "./resolve.ts";

/** Every diagnostic of {@link parseFormation}; all are errors (spec/procfile.md §5). */
export const formationDiagnosticTable = {
  "empty-argument": "a comma with nothing before or after it",
  "invalid-argument": "an argument that is none of `type`, `type=N`, `type+N`, `type-N`, `all=N`",
  "invalid-quantity": "a quantity that isn't a whole number from 0 to 1000000",
  "invalid-size": "a `:` without a size after it",
  "unknown-size": "a size that isn't in `sizes`",
  "unknown-type": "a type that isn't in `types`",
  "ambiguous-type": "`a-1` where both `a` and `a-1` are types",
  "duplicate-type": "the same type, or `all`, twice",
  "all-needs-quantity": "`all` without `=N`",
  "below-zero": "a relative change that would leave less than nothing",
} as const;

/** A key of {@link formationDiagnosticTable}. */
export type FormationDiagnosticCode = keyof typeof formationDiagnosticTable;

interface ChangeBase {
  /** A process type, or `all`. */
  readonly type: string;
  /** As it was written; absent: keep the present size. */
  readonly size?: string;
  /** The argument as it was written. */
  readonly argument: string;
  readonly range: Range;
}

/** One argument: an absolute quantity or a relative change. */
export type FormationChange =
  | (ChangeBase & { readonly kind: "set"; readonly quantity: number })
  | (ChangeBase & { readonly kind: "add"; readonly delta: number });

/** Options of {@link parseFormation}. */
export interface ParseFormationOptions {
  /** The types that exist. Without it every type is accepted. */
  readonly types?: Iterable<string>;
  /** What runs now: quantities, or quantities with sizes. Default: nothing. */
  readonly current?: Readonly<Record<string, number | SizedQuantity>>;
  /** The sizes that exist, compared without regard to case. Without it every size is accepted. */
  readonly sizes?: Iterable<string>;
  /**
   * Quantity of the types in `types` that the arguments don't mention. `keep` (default) leaves
   * them at `current`; foreman has 0 here, honcho 1.
   */
  readonly unlisted?: number | "keep";
}

/** What {@link parseFormation} returns. */
export interface FormationResult {
  /** False with any diagnostic; then `changes` holds only the arguments that were good. */
  readonly ok: boolean;
  readonly changes: readonly FormationChange[];
  readonly diagnostics: readonly Diagnostic<FormationDiagnosticCode>[];
  /** What should run afterwards, type to quantity and size, without a prototype. */
  readonly formation: Readonly<Record<string, SizedQuantity>>;
}

export type FormationReport = (
  code: FormationDiagnosticCode,
  range: Range,
  message: string,
) => void;

/** More than any platform runs, and small enough to add safely. */
const maxQuantity = 1_000_000;

/**
 * Reads scale arguments, separated by blanks or commas. An argument that does not match is an
 * error that shows it, never ignored. Never throws because of the text.
 *
 * @example
 * parseFormation("web=2:standard-2x worker+1", { current: { worker: 1 } }).formation;
 */
export function parseFormation(
  input: string | readonly string[],
  options: ParseFormationOptions = {},
): FormationResult {
  const text = typeof input === "string" ? input : input.join(" ");
  const locator = new Locator(text);
  const diagnostics: Diagnostic<FormationDiagnosticCode>[] = [];
  const report: FormationReport = (code, range, message) => {
    diagnostics.push({ code, severity: "error", message, range });
  };
  const types = options.types ? new Set(options.types) : null;
  const sizes = options.sizes ? [...options.sizes] : null;
  const changes: FormationChange[] = [];
  const seen = new Set<string>();
  for (const { start, end } of splitArguments(text, locator, report)) {
    const range = locator.range(start, end);
    const change = readArgument(text.slice(start, end), range, types, sizes, report);
    if (!change) continue;
    if (seen.has(change.type)) {
      const message = `${quoted(change.argument)}: ${change.type} is given twice. Keep one of them.`;
      report("duplicate-type", range, message);
      continue;
    }
    seen.add(change.type);
    changes.push(change);
  }
  const formation = resolveFormation(changes, types, options, report);
  diagnostics.sort((a, b) => a.range.start.offset - b.range.start.offset);
  return { ok: diagnostics.length === 0, changes, diagnostics, formation };
}

/** Cuts at blanks and commas; a comma needs an argument on both of its sides. */
function splitArguments(
  text: string,
  locator: Locator,
  report: FormationReport,
): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  let needed: number | null = null;
  let previous = false;
  let index = 0;
  const stray = (offset: number) =>
    report(
      "empty-argument",
      locator.range(offset, offset + 1),
      "A comma with no argument next to it. Delete it.",
    );
  while (index < text.length) {
    const character = text[index]!;
    if (character === ",") {
      if (previous) needed = index;
      else stray(index);
      previous = false;
      index++;
    } else if (/\s/.test(character)) index++;
    else {
      const start = index;
      while (index < text.length && !/[\s,]/.test(text[index]!)) index++;
      found.push({ start, end: index });
      previous = true;
      needed = null;
    }
  }
  if (needed !== null) stray(needed);
  return found;
}

function readArgument(
  argument: string,
  range: Range,
  types: ReadonlySet<string> | null,
  sizes: readonly string[] | null,
  report: FormationReport,
): FormationChange | null {
  const fail = (code: FormationDiagnosticCode, message: string) => {
    report(code, range, `${quoted(argument)}: ${message}`);
    return null;
  };
  const colon = argument.indexOf(":");
  const head = colon === -1 ? argument : argument.slice(0, colon);
  const size = readSize(colon === -1 ? null : argument.slice(colon + 1), sizes, fail);
  if (size === null) return null;
  const base = { argument, range, ...(size === "" ? {} : { size }) };
  const match = /^([A-Za-z0-9_-]*?)(?:(=)(.*)|([+-])([0-9]+))?$/.exec(head);
  if (!match || head === "") return fail("invalid-argument", usage);
  const type = match[1]!;
  if (type === "") return fail("invalid-argument", `no process type. ${usage}`);
  const sign: string | undefined = match[4];
  if (sign === "-" && types?.has(head)) {
    if (types.has(type))
      return fail(
        "ambiguous-type",
        `both ${quoted(type)} and ${quoted(head)} are process types. Write ${quoted(`${head}=1`)} or an absolute quantity.`,
      );
    return { ...base, type: head, kind: "set", quantity: 1 };
  }
  const written = match[3] ?? match[5];
  if (type === "all" && match[2] === undefined)
    return fail("all-needs-quantity", 'write a quantity for every type, for example "all=1".');
  if (type !== "all" && types && !types.has(type)) {
    const near = nearest(type, types);
    const known =
      types.size > 0 ? `There are ${[...types].slice(0, 20).join(", ")}.` : "There are none.";
    return fail(
      "unknown-type",
      `no process type ${quoted(type)}. ${near ? `Did you mean ${quoted(near)}? ` : ""}${known}`,
    );
  }
  if (written === undefined) return { ...base, type, kind: "set", quantity: 1 };
  if (!/^[0-9]+$/.test(written) || Number(written) > maxQuantity) {
    const hint = /^[A-Za-z]/.test(written)
      ? ` A size goes after a colon: ${quoted(`${type}=1:${written}`)}.`
      : "";
    return fail(
      "invalid-quantity",
      `${quoted(written)} is not a whole number from 0 to ${maxQuantity}.${hint}`,
    );
  }
  const quantity = Number(written);
  if (sign === undefined) return { ...base, type, kind: "set", quantity };
  return { ...base, type, kind: "add", delta: sign === "-" && quantity > 0 ? -quantity : quantity };
}

const usage = 'use "web", "web=2", "web+1", "web-1" or "all=1", each with an optional ":size".';

/** The size, the empty string for none given, `null` after a failure. */
function readSize(
  written: string | null,
  sizes: readonly string[] | null,
  fail: (code: FormationDiagnosticCode, message: string) => null,
): string | null {
  if (written === null) return "";
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(written))
    return fail("invalid-size", `${quoted(written)} is no dyno size.`);
  if (!sizes) return written;
  const known = sizes.find((size) => size.toLowerCase() === written.toLowerCase());
  if (known) return known;
  const near = nearest(written, sizes);
  return fail(
    "unknown-size",
    `no dyno size ${quoted(written)}. ${near ? `Did you mean ${quoted(near)}? ` : ""}There are ${sizes.join(", ")}.`,
  );
}
