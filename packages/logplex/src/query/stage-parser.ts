import type { Aggregate, FieldReference, RedactTarget, Stage } from "./ast.ts";
import { queryError } from "./errors.ts";
import { headerField } from "./fields.ts";
import { type Budget, parseFieldName, scanKeyName, takeRegex } from "./parser.ts";
import { isLetterOrDigit, isSpace, type Scanner } from "./scanner.ts";
import { parseDurationUs } from "./units.ts";

const STAGES = "parse, fields, drop, redact, sample, rate, dedupe, stats, head";

/** One stage, the scanner standing behind its `|`. */
export function parseStage(scanner: Scanner, budget: Budget): Stage {
  scanner.skipSpace();
  const column = scanner.column;
  const name = scanner.takeWhile(isLetterOrDigit);
  const stage = parseNamed(name, column, scanner, budget);
  scanner.skipSpace();
  if (!scanner.done && scanner.peek() !== "|") {
    const at = scanner.column;
    throw queryError(
      `unexpected "${scanner.bareWord() || scanner.peek()}" after ${name}`,
      at,
      "start the next stage with |",
    );
  }
  return stage;
}

function parseNamed(name: string, column: number, scanner: Scanner, budget: Budget): Stage {
  scanner.skipSpace();
  switch (name) {
    case "parse":
      return parseParse(scanner, budget);
    case "fields":
    case "drop":
      return { kind: name, fields: fieldList(scanner) };
    case "redact":
      return { kind: "redact", targets: redactTargets(scanner, budget) };
    case "sample":
      return parseSample(scanner);
    case "rate":
      return parseRate(scanner);
    case "dedupe":
      return parseDedupe(scanner);
    case "stats":
      return parseStats(scanner);
    case "head":
      return { kind: "head", count: wholeNumber(scanner, "head") };
    default:
      throw queryError(
        name === "" ? "a stage is missing after |" : `unknown stage "${name}"`,
        column,
        `known are ${STAGES}`,
      );
  }
}

function argument(scanner: Scanner): { text: string; column: number } {
  scanner.skipSpace();
  const column = scanner.column;
  return { text: scanner.takeWhile((c) => !isSpace(c) && c !== "|"), column };
}

function parseParse(scanner: Scanner, budget: Budget): Stage {
  const { text, column } = argument(scanner);
  if (text === "json" || text === "logfmt" || text === "router") {
    return { kind: "parse", format: text };
  }
  if (text !== "regex") {
    throw queryError(
      `parse does not know "${text}"`,
      column,
      "write parse json, parse logfmt, parse router or parse regex /(?<name>…)/",
    );
  }
  scanner.skipSpace();
  const at = scanner.column;
  const regex = slashedRegex(scanner, budget, "parse regex");
  if (regex.names.size === 0) {
    throw queryError("the expression names no group", at, "name what to keep: (?<path>\\S+)");
  }
  return { kind: "parse", format: "regex", regex };
}

function slashedRegex(scanner: Scanner, budget: Budget, stage: string) {
  const column = scanner.column;
  const found = scanner.peek() === "/" ? scanner.slashed() : undefined;
  if (!found) {
    throw queryError(
      `${stage} needs a regular expression`,
      column,
      "write it between slashes: /…/",
    );
  }
  return takeRegex(budget, found.pattern, found.flags, found.column);
}

function redactTargets(scanner: Scanner, budget: Budget): RedactTarget[] {
  const targets: RedactTarget[] = [];
  const open = scanner.take("(");
  for (;;) {
    scanner.skipSpace();
    const column = scanner.column;
    if (scanner.peek() === "/") {
      targets.push(slashedRegex(scanner, budget, "redact"));
    } else {
      const word = scanner.takeWhile(isLetterOrDigit);
      if (word !== "email" && word !== "ip" && word !== "card") {
        throw queryError(
          word === "" ? "redact needs something to replace" : `redact does not know "${word}"`,
          column,
          "write email, ip, card or /regex/, several with commas",
        );
      }
      targets.push(word);
    }
    scanner.skipSpace();
    if (!scanner.take(",") && !(open && scanner.take("|"))) break;
  }
  if (open && !scanner.take(")")) {
    throw queryError("this parenthesis is never closed", scanner.column, "add the closing )");
  }
  return targets;
}

/** A field in a list: `.key`, `sd.…`, a field of the header, or a bare key of the line. */
function listedField(scanner: Scanner): FieldReference {
  scanner.skipSpace();
  const column = scanner.column;
  if (scanner.peek() === ".") return parseFieldName(scanKeyName(scanner), column);
  if (scanner.peek() === '"') return { kind: "key", path: [scanner.quoted()] };
  const name = scanner.takeWhile((c) => !isSpace(c) && !",()|".includes(c));
  if (name === "")
    throw queryError("a field is missing", column, "name one, such as .path or dyno");
  if (name.startsWith("sd.")) return parseFieldName(name, column);
  const header = headerField(name);
  if (header) return { kind: "header", name: header };
  return { kind: "key", path: name.split(".") };
}

function fieldList(scanner: Scanner): FieldReference[] {
  const fields = [listedField(scanner)];
  for (;;) {
    scanner.skipSpace();
    if (!scanner.take(",")) return fields;
    fields.push(listedField(scanner));
  }
}

function optionalBy(scanner: Scanner): { by?: FieldReference } {
  scanner.skipSpace();
  return scanner.takeKeyword("by") ? { by: listedField(scanner) } : {};
}

function wholeNumber(scanner: Scanner, stage: string): number {
  const { text, column } = argument(scanner);
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1) {
    throw queryError(`${stage} needs a count, got "${text}"`, column, `write ${stage} 100`);
  }
  return value;
}

function parseSample(scanner: Scanner): Stage {
  const { text, column } = argument(scanner);
  const percent = /^\d{1,3}(\.\d{1,6})?%$/.test(text) ? Number(text.slice(0, -1)) : Number.NaN;
  if (!(percent >= 0 && percent <= 100)) {
    throw queryError(`sample needs a share, got "${text}"`, column, "write sample 10% (0 to 100)");
  }
  return { kind: "sample", percent, ...optionalBy(scanner) };
}

const PER: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

function parseRate(scanner: Scanner): Stage {
  const { text, column } = argument(scanner);
  const found = /^(\d{1,9}(?:\.\d{1,3})?)\/([smh])$/.exec(text);
  const count = found ? Number(found[1]) : 0;
  if (!found || count <= 0) {
    throw queryError(
      `rate needs a limit, got "${text}"`,
      column,
      "write rate 100/s, 100/m or 100/h",
    );
  }
  const perSecond = count / (PER[found[2] as string] as number);
  return { kind: "rate", perSecond, burst: Math.max(1, count), ...optionalBy(scanner) };
}

function parseDedupe(scanner: Scanner): Stage {
  const { text, column } = argument(scanner);
  const windowUs = parseDurationUs(text);
  if (windowUs === undefined || windowUs <= 0) {
    throw queryError(`dedupe needs a window, got "${text}"`, column, "write dedupe 10s");
  }
  return { kind: "dedupe", windowUs, ...optionalBy(scanner) };
}

function parseStats(scanner: Scanner): Stage {
  const aggregates = [parseAggregate(scanner)];
  for (;;) {
    scanner.skipSpace();
    if (!scanner.take(",")) break;
    aggregates.push(parseAggregate(scanner));
  }
  scanner.skipSpace();
  const by = scanner.takeKeyword("by") ? fieldList(scanner) : [];
  scanner.skipSpace();
  if (!scanner.takeKeyword("every")) return { kind: "stats", aggregates, by };
  const { text, column } = argument(scanner);
  const everyUs = parseDurationUs(text);
  if (everyUs === undefined || everyUs < 1e6) {
    throw queryError(
      `every needs an interval, got "${text}"`,
      column,
      "write every 1m (1s or more)",
    );
  }
  return { kind: "stats", aggregates, by, everyUs };
}

function parseAggregate(scanner: Scanner): Aggregate {
  scanner.skipSpace();
  const start = scanner.at;
  const column = scanner.column;
  const name = scanner.takeWhile(isLetterOrDigit);
  let field: FieldReference | undefined;
  scanner.skipSpace();
  if (scanner.take("(")) {
    scanner.skipSpace();
    if (scanner.peek() !== ")") field = listedField(scanner);
    scanner.skipSpace();
    if (!scanner.take(")")) {
      throw queryError("this parenthesis is never closed", scanner.column, "add the closing )");
    }
  } else if (name !== "count" && scanner.peek() === ".") {
    field = listedField(scanner);
  }
  const label = scanner.text.slice(start, scanner.at).trim();
  if (name === "count") return { name, label, ...(field ? { field } : {}) };
  const percentile = /^p(\d{1,2}|100)$/.exec(name);
  const known = ["sum", "avg", "min", "max", "distinct"].includes(name);
  if (!percentile && !known) {
    throw queryError(
      name === "" ? "stats needs a function" : `stats does not know "${name}"`,
      column,
      "known are count, sum, avg, min, max, distinct and p50 to p99",
    );
  }
  if (!field) {
    throw queryError(`${name} needs a field`, column, `write ${name}(.service)`);
  }
  if (percentile) {
    return { name: "quantile", quantile: Number(percentile[1]) / 100, field, label };
  }
  return { name: name as "sum" | "avg" | "min" | "max" | "distinct", field, label };
}
