import type { FieldReference, Node, Operator, ParsedQuery, Term } from "./ast.ts";
import { queryError } from "./errors.ts";
import { HEADER_FIELDS, headerField, isRouterKey } from "./fields.ts";
import { QUERY_LIMITS } from "./limits.ts";
import { compileRegex, type Regex } from "./regex/regex.ts";
import { isLetter, isLetterOrDigit, isSpace, Scanner } from "./scanner.ts";
import { parseStage } from "./stage-parser.ts";

/**
 * Counts what a query uses, so that one limit holds for predicate and stages together.
 */
export interface Budget {
  terms: number;
  regexes: number;
}

/** Text of a query → tree. Throws `bad-query` with `details.column` and a hint. */
export function parseQuery(text: string): ParsedQuery {
  const bytes = Buffer.byteLength(text);
  if (bytes > QUERY_LIMITS.maxBytes) {
    throw queryError(
      `the query has ${bytes} bytes, at most ${QUERY_LIMITS.maxBytes} are allowed`,
      1,
      "shorten it",
    );
  }
  const scanner = new Scanner(text);
  const budget: Budget = { terms: 0, regexes: 0 };
  scanner.skipSpace();
  let where: Node = { kind: "all" };
  if (!scanner.done && scanner.peek() !== "|") where = parseOr(scanner, budget, 0);
  scanner.skipSpace();
  const stages = [];
  while (scanner.take("|")) {
    if (stages.length === QUERY_LIMITS.maxStages) {
      throw queryError(
        `more than ${QUERY_LIMITS.maxStages} stages`,
        scanner.column,
        "remove some stages",
      );
    }
    stages.push(parseStage(scanner, budget));
    scanner.skipSpace();
  }
  if (!scanner.done) {
    throw queryError(
      `unexpected "${scanner.peek()}"`,
      scanner.column,
      scanner.peek() === ")" ? "remove it or open a parenthesis before it" : "quote it",
    );
  }
  return { where, stages };
}

/** Compiles one regular expression of a query and counts it. */
export function takeRegex(budget: Budget, pattern: string, flags: string, column: number): Regex {
  budget.regexes++;
  if (budget.regexes > QUERY_LIMITS.maxRegexes) {
    throw queryError(
      `more than ${QUERY_LIMITS.maxRegexes} regular expressions`,
      column,
      "join some with | inside one expression",
    );
  }
  for (const [index, flag] of [...flags].entries()) {
    if (!"ims".includes(flag)) {
      throw queryError(
        `unknown flag "${flag}" after a regular expression`,
        column + pattern.length + 1 + index,
        'use i, m or s; put a path that is meant as text in quotes: "/api/v1"',
      );
    }
  }
  return compileRegex(pattern, flags, column);
}

function parseOr(scanner: Scanner, budget: Budget, depth: number): Node {
  const nodes = [parseAnd(scanner, budget, depth)];
  for (;;) {
    scanner.skipSpace();
    if (!scanner.takeKeyword("OR")) break;
    nodes.push(parseAnd(scanner, budget, depth));
  }
  return nodes.length === 1 ? (nodes[0] as Node) : { kind: "or", nodes };
}

function parseAnd(scanner: Scanner, budget: Budget, depth: number): Node {
  const nodes = [parseUnary(scanner, budget, depth)];
  for (;;) {
    scanner.skipSpace();
    if (scanner.takeKeyword("AND")) {
      nodes.push(parseUnary(scanner, budget, depth));
      continue;
    }
    if (scanner.done || scanner.peek() === ")" || scanner.peek() === "|") break;
    if (startsKeyword(scanner, "OR")) break;
    nodes.push(parseUnary(scanner, budget, depth));
  }
  return nodes.length === 1 ? (nodes[0] as Node) : { kind: "and", nodes };
}

function startsKeyword(scanner: Scanner, word: string): boolean {
  const at = scanner.at;
  const found = scanner.takeKeyword(word);
  scanner.at = at;
  return found;
}

function parseUnary(scanner: Scanner, budget: Budget, depth: number): Node {
  scanner.skipSpace();
  if (depth > QUERY_LIMITS.maxDepth) {
    throw queryError(
      `nested deeper than ${QUERY_LIMITS.maxDepth}`,
      scanner.column,
      "remove parentheses or negations",
    );
  }
  if (scanner.takeKeyword("NOT")) {
    return { kind: "not", node: parseUnary(scanner, budget, depth + 1) };
  }
  if (scanner.peek() === "-") {
    const column = scanner.column;
    scanner.at++;
    if (scanner.done || isSpace(scanner.peek())) {
      throw queryError("nothing to negate after -", column, 'write -word or "-" in quotes');
    }
    return { kind: "not", node: parseUnary(scanner, budget, depth + 1) };
  }
  return parsePrimary(scanner, budget, depth);
}

function parsePrimary(scanner: Scanner, budget: Budget, depth: number): Node {
  const column = scanner.column;
  if (scanner.take("(")) {
    const node = parseOr(scanner, budget, depth + 1);
    scanner.skipSpace();
    if (!scanner.take(")")) {
      throw queryError("this parenthesis is never closed", column, "add the closing )");
    }
    return node;
  }
  if (scanner.done || ")|".includes(scanner.peek())) {
    throw queryError(
      scanner.done
        ? "the query ends where a condition should be"
        : `a condition is missing before "${scanner.peek()}"`,
      column,
      "add a word, a phrase, a /regex/ or field:value",
    );
  }
  for (const keyword of ["OR", "AND"]) {
    if (startsKeyword(scanner, keyword)) {
      throw queryError(
        `${keyword} has nothing on its left`,
        column,
        `add a condition before it, or quote the word: "${keyword}"`,
      );
    }
  }
  budget.terms++;
  if (budget.terms > QUERY_LIMITS.maxTerms) {
    throw queryError(
      `more than ${QUERY_LIMITS.maxTerms} conditions`,
      column,
      "split the query or use one regular expression",
    );
  }
  return { kind: "term", term: parseTerm(scanner, budget) };
}

function parseTerm(scanner: Scanner, budget: Budget): Term {
  const column = scanner.column;
  const first = scanner.peek();
  if (first === '"') return { kind: "text", text: nonEmpty(scanner.quoted(), column) };
  if (first === "/") {
    const found = scanner.slashed();
    if (!found) {
      throw queryError(
        "this regular expression is never closed",
        column,
        'add the closing /, or put a path in quotes: "/health"',
      );
    }
    return {
      kind: "regex",
      regex: takeRegex(budget, found.pattern, found.flags, found.column),
    };
  }
  if (first === "." || isLetter(first)) {
    const compare = tryCompare(scanner, budget);
    if (compare) return compare;
  }
  return { kind: "text", text: nonEmpty(scanner.bareWord(), column) };
}

function nonEmpty(text: string, column: number): string {
  if (text === "") throw queryError("an empty phrase", column, "put text between the quotes");
  return text;
}

const OPERATORS: readonly Operator[] = [":", ">=", "<=", "!=", "!~", "=", ">", "<", "~"];

function tryCompare(scanner: Scanner, budget: Budget): Term | undefined {
  const start = scanner.at;
  const column = scanner.column;
  const name = scanFieldName(scanner);
  if (name === "" || name === ".") {
    scanner.at = start;
    return undefined;
  }
  const afterName = scanner.at;
  scanner.skipSpace();
  const spaced = scanner.at !== afterName;
  const operator = OPERATORS.find((candidate) => scanner.take(candidate));
  // `word = x` with spaces is a comparison only for a name that can be a field, so that
  // ordinary prose such as `total > 5` still gets a helpful error instead of odd words.
  if (!operator || (spaced && operator === ":")) {
    scanner.at = start;
    if (name.startsWith(".") && !name.startsWith("..")) {
      throw queryError(
        `${name} has no comparison`,
        column,
        `write ${name}:value, or ${name}:* for any value`,
      );
    }
    return undefined;
  }
  const field = parseFieldName(name, column, operator);
  if (operator === ":" && scanner.peek() === "*") {
    const after = scanner.peek(1);
    if (after === "" || isSpace(after) || after === ")" || after === "|") {
      scanner.at++;
      return {
        kind: "compare",
        field,
        operator: "exists",
        value: "",
        quoted: false,
        column: scanner.column,
      };
    }
  }
  scanner.skipSpace();
  return parseValue(scanner, budget, field, operator);
}

function parseValue(
  scanner: Scanner,
  budget: Budget,
  field: FieldReference,
  operator: Operator,
): Term {
  const column = scanner.column;
  const isRegex = operator === "~" || operator === "!~";
  if (isRegex && scanner.peek() === "/") {
    const found = scanner.slashed();
    if (found) {
      const regex = takeRegex(budget, found.pattern, found.flags, found.column);
      return {
        kind: "compare",
        field,
        operator,
        value: found.pattern,
        quoted: true,
        regex,
        column,
      };
    }
  }
  const quoted = scanner.peek() === '"';
  const value = quoted ? scanner.quoted() : scanner.bareWord();
  if (!quoted && value === "") {
    throw queryError(
      `a value is missing after "${operator}"`,
      column,
      'add a value; "" stands for the empty one',
    );
  }
  if (!isRegex) return { kind: "compare", field, operator, value, quoted, column };
  const regex = takeRegex(budget, value, "", quoted ? column + 1 : column);
  return { kind: "compare", field, operator, value, quoted, regex, column };
}

function scanFieldName(scanner: Scanner): string {
  if (scanner.peek() === ".") return scanKeyName(scanner);
  if (scanner.text.startsWith("sd.", scanner.at)) {
    return scanner.takeWhile((c) => !isSpace(c) && !':=!<>~()|"'.includes(c));
  }
  return scanner.takeWhile((c) => isLetterOrDigit(c) || c === "_" || c === "-");
}

/** `.a.b`, where a part may stand in quotes to hold any character: `."odd key".b`. */
export function scanKeyName(scanner: Scanner): string {
  const start = scanner.at;
  while (scanner.peek() === ".") {
    scanner.at++;
    if (scanner.peek() === '"') scanner.quoted();
    else scanner.takeWhile((c) => !isSpace(c) && !'.:=!<>~()|",'.includes(c));
  }
  return scanner.text.slice(start, scanner.at);
}

/** A name as written → the field, or an error that suggests the right spelling. */
export function parseFieldName(name: string, column: number, operator = ":"): FieldReference {
  if (name.startsWith(".")) return { kind: "key", path: splitPath(name, column) };
  if (name.startsWith("sd.")) {
    const dot = name.lastIndexOf(".");
    const id = name.slice(3, Math.max(3, dot));
    if (id === "" || dot === name.length - 1) {
      throw queryError(
        `"${name}" does not name a structured-data value`,
        column,
        "write sd.<id>.<name>, for instance sd.order@32473.id",
      );
    }
    return { kind: "sd", id, name: name.slice(dot + 1) };
  }
  const header = headerField(name);
  if (header) return { kind: "header", name: header };
  if (isRouterKey(name)) return { kind: "key", path: [name] };
  throw queryError(
    `unknown field "${name}"`,
    column,
    `known are ${HEADER_FIELDS.join(", ")} and sd.<id>.<name>; for a key in the line write .${name}${operator}…, for plain text use quotes`,
  );
}

function splitPath(name: string, column: number): string[] {
  const scanner = new Scanner(name);
  const path: string[] = [];
  while (scanner.take(".")) {
    const part = scanner.peek() === '"' ? scanner.quoted() : scanner.takeWhile((c) => c !== ".");
    if (part === "") {
      throw queryError(`empty part in the key "${name}"`, column, "write .key or .outer.inner");
    }
    path.push(part);
  }
  return path;
}
