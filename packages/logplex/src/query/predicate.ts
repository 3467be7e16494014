import type { FieldReference, Node, Operator, Term } from "./ast.ts";
import { queryError } from "./errors.ts";
import { facilityNumber, severityNumber } from "./fields.ts";
import { createGlob, createTextSearch } from "./text-search.ts";
import { parseTime } from "./time.ts";
import { compareQuantities, parseQuantity } from "./units.ts";
import type { FieldValue, MessageView } from "./view.ts";

/** Decides on one message. */
export type Predicate = (view: MessageView) => boolean;

type Compare = Extract<Term, { kind: "compare" }>;

/** Tree → closures; everything that can be worked out beforehand is. `nowUs` anchors `-15m`. */
export function compilePredicate(node: Node, nowUs: number): Predicate {
  switch (node.kind) {
    case "all":
      return () => true;
    case "not": {
      const inner = compilePredicate(node.node, nowUs);
      return (view) => !inner(view);
    }
    case "term":
      return compileTerm(node.term, nowUs);
    default: {
      const parts = node.nodes.map((part) => compilePredicate(part, nowUs));
      return node.kind === "and" ? everyOf(parts) : someOf(parts);
    }
  }
}

function everyOf(parts: readonly Predicate[]): Predicate {
  return (view) => {
    for (const part of parts) if (!part(view)) return false;
    return true;
  };
}

function someOf(parts: readonly Predicate[]): Predicate {
  return (view) => {
    for (const part of parts) if (part(view)) return true;
    return false;
  };
}

function compileTerm(term: Term, nowUs: number): Predicate {
  if (term.kind === "text") {
    const search = createTextSearch(term.text);
    return (view) => search(view.message.body);
  }
  if (term.kind === "regex") {
    const { regex } = term;
    return (view) => regex.test(view.message.body);
  }
  return compileComparison(term, nowUs);
}

function compileComparison(term: Compare, nowUs: number): Predicate {
  const { field, operator } = term;
  // `!=` and `!~` are the exact negation, so they are true for a missing key.
  if (operator === "!=" || operator === "!~") {
    const positive = compileComparison({ ...term, operator: operator === "!=" ? "=" : "~" }, nowUs);
    return (view) => !positive(view);
  }
  if (operator === "exists") return compileExists(field);
  if (operator === "~") return compileMatches(term);
  if (field.kind === "header") {
    switch (field.name) {
      case "time":
        return compileTimeTerm(term, operator, nowUs);
      case "seq":
        return compileNumber(term, operator, wholeSeq(term), (view) => view.message.seq);
      case "sev":
        return compileNumber(
          term,
          operator,
          named(term, severityNumber),
          (view) => view.message.pri & 7,
        );
      case "facility":
        return compileNumber(
          term,
          operator,
          named(term, facilityNumber),
          (view) => view.message.pri >> 3,
        );
      case "text":
        if (operator === ":" && (term.quoted || !term.value.includes("*"))) {
          const search = createTextSearch(term.value);
          return (view) => term.value === "" || search(view.message.body);
        }
        break;
      default:
    }
  }
  if (operator === ":" || operator === "=") return compileEquals(term);
  return compileOrder(term, operator);
}

function compileExists(field: FieldReference): Predicate {
  return (view) => {
    const value = view.value(field);
    return value !== undefined && (field.kind !== "header" || value !== "");
  };
}

function compileMatches(term: Compare): Predicate {
  const regex = term.regex!;
  const { field } = term;
  if (field.kind === "header" && field.name === "text") {
    return (view) => regex.test(view.message.body);
  }
  return (view) => someValue(view.value(field), (text) => regex.testText(text));
}

function someValue(value: FieldValue, test: (text: string) => boolean): boolean {
  if (value === undefined) return false;
  return typeof value === "string" ? test(value) : value.some(test);
}

/** Equality of `:` and `=`; only `:` knows globs and that `dyno:web` means every web dyno. */
function compileEquals(term: Compare): Predicate {
  const { field, value, operator } = term;
  const glob =
    operator === ":" && !term.quoted && value.includes("*") ? createGlob(value) : undefined;
  if (field.kind === "header") {
    const { name } = field;
    if (glob) return (view) => someValue(view.value(field), glob);
    if (name === "source") return (view) => view.message.source === value;
    if (name === "dyno") {
      if (operator === "=") return (view) => view.message.procid === value;
      const prefix = `${value}.`;
      return ({ message: { procid } }) => procid === value || procid.startsWith(prefix);
    }
    return (view) => view.value(field) === value;
  }
  if (glob) return (view) => someValue(view.value(field), glob);
  const wanted = parseQuantity(value);
  const equals = (text: string) => {
    if (text === value) return true;
    if (!wanted) return false;
    const found = parseQuantity(text);
    return found !== undefined && compareQuantities(found, wanted) === 0;
  };
  return (view) => someValue(view.value(field), equals);
}

function compileOrder(term: Compare, operator: Operator): Predicate {
  const { field, value } = term;
  const wanted = parseQuantity(value);
  return (view) =>
    someValue(view.value(field), (text) => {
      const found = parseQuantity(text);
      // A number never compares with a word; two words compare by code units.
      if ((found === undefined) !== (wanted === undefined)) return false;
      const difference =
        found && wanted
          ? compareQuantities(found, wanted)
          : text < value
            ? -1
            : text > value
              ? 1
              : 0;
      return difference !== undefined && satisfies(operator, difference);
    });
}

function satisfies(operator: Operator, difference: number): boolean {
  switch (operator) {
    case ">":
      return difference > 0;
    case ">=":
      return difference >= 0;
    case "<":
      return difference < 0;
    case "<=":
      return difference <= 0;
    default:
      return difference === 0;
  }
}

function compileNumber(
  _term: Compare,
  operator: Operator,
  wanted: number,
  read: (view: MessageView) => number,
): Predicate {
  return (view) => satisfies(operator, read(view) - wanted);
}

function wholeSeq(term: Compare): number {
  if (!/^\d{1,15}$/.test(term.value)) {
    throw queryError(
      `seq compares with a whole number, got "${term.value}"`,
      term.column,
      "write seq>1042",
    );
  }
  return Number(term.value);
}

function named(term: Compare, read: (text: string) => number | undefined): number {
  const found = read(term.value);
  if (found !== undefined) return found;
  const name = term.field.kind === "header" ? term.field.name : "";
  throw queryError(
    `unknown ${name === "sev" ? "severity" : "facility"} "${term.value}"`,
    term.column,
    name === "sev"
      ? "use emerg, alert, crit, err, warning, notice, info, debug or 0 to 7"
      : "use user, daemon, local0 to local7 and so on, or 0 to 23",
  );
}

function compileTimeTerm(term: Compare, operator: Operator, nowUs: number): Predicate {
  const range = parseTime(term.value, nowUs);
  if (!range) {
    throw queryError(
      `"${term.value}" is no time`,
      term.column,
      "write -15m, now, 2026-03-14 or 2026-03-14T09:26:53Z",
    );
  }
  const { fromUs, toUs } = range;
  switch (operator) {
    case ">":
      return (view) => view.message.ts >= toUs;
    case ">=":
      return (view) => view.message.ts >= fromUs;
    case "<":
      return (view) => view.message.ts < fromUs;
    case "<=":
      return (view) => view.message.ts < toUs;
    default:
      return (view) => view.message.ts >= fromUs && view.message.ts < toUs;
  }
}
