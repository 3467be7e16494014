import { LogplexError } from "../errors.ts";
import type { StoredMessage } from "../message.ts";
import type { Node, Stage } from "./ast.ts";
import { parseQuery } from "./parser.ts";
import { createPipeline, type QueryPipeline } from "./pipeline.ts";
import { compilePredicate } from "./predicate.ts";
import { createRedactor } from "./stages/redact.ts";
import { MessageView } from "./view.ts";

/** Options of {@link compileQuery}. */
export interface CompileOptions {
  /** ms since the epoch that relative times such as `-15m` count from; default: the present. */
  readonly now?: number;
}

/** A compiled query of the language LQ (spec/logplex.md §8.4). */
export interface Query {
  /** As it was written. */
  readonly text: string;
  /** Whether a message fulfils the condition; stages take no part. Pure and deterministic. */
  test(message: StoredMessage): boolean;
  /** Names of the stages after the condition, in order. */
  readonly stages: readonly Stage["kind"][];
  /** A fresh run of condition and stages; it holds the state that stages such as `rate` need. */
  pipeline(): QueryPipeline;
  /**
   * Whether the query says `-code:L10` (or another code) outright. Only then may the notices of
   * the platform about loss be kept from the reader.
   */
  excludesCode(code: string): boolean;
}

/**
 * Compiles a query. Throws {@link LogplexError} `bad-query` whose `details` carry `column` (1-based)
 * and `hint`. Limits: 4 KiB, 64 conditions, 8 regular expressions, 16 stages.
 *
 * @example
 * compileQuery("source:heroku dyno:router .status>=500").test(message);
 */
export function compileQuery(text: string, options: CompileOptions = {}): Query {
  const parsed = parseQuery(text);
  const nowUs = (options.now ?? Date.now()) * 1000;
  const predicate = compilePredicate(parsed.where, nowUs);
  const view = new MessageView();
  return {
    text,
    stages: Object.freeze(parsed.stages.map((stage) => stage.kind)),
    test: (message) => predicate(view.reset(message)),
    pipeline: () => createPipeline(predicate, parsed.stages),
    excludesCode: (code) => excludes(parsed.where, code),
  };
}

/**
 * What `redact` takes after its name, such as `email,card,/token=\\S+/`, as a function on bodies.
 * Throws `bad-query`.
 */
export function compileRedactor(text: string): (bytes: Buffer) => Buffer {
  const { stages } = parseQuery(`seq:* | redact ${text}`);
  const [stage, ...more] = stages;
  if (stage?.kind !== "redact" || more.length > 0)
    throw new LogplexError(
      "bad-query",
      `redact is ${JSON.stringify(text)}; give only what to replace, such as email,ip,card,/…/.`,
      { details: { column: 1, hint: "leave out further stages" } },
    );
  return createRedactor(stage.targets);
}

/** A negated `code:` on every path: at the top or joined by AND. */
function excludes(node: Node, code: string): boolean {
  if (node.kind === "and") return node.nodes.some((part) => excludes(part, code));
  if (node.kind === "term") return isCodeTerm(node, code, "!=");
  if (node.kind !== "not") return false;
  const inner = node.node;
  if (inner.kind === "or") return inner.nodes.some((part) => isCodeTerm(part, code));
  return isCodeTerm(inner, code);
}

function isCodeTerm(node: Node, code: string, operator?: "!="): boolean {
  if (node.kind !== "term" || node.term.kind !== "compare") return false;
  const { term } = node;
  if (term.field.kind !== "header" || term.field.name !== "code" || term.value !== code)
    return false;
  return operator ? term.operator === operator : term.operator === ":" || term.operator === "=";
}
