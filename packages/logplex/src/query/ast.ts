import type { Regex } from "./regex/regex.ts";

/** Comparison of one term (spec/logplex.md §8.4). `exists` is written `field:*`. */
export type Operator = ":" | "=" | "!=" | ">" | ">=" | "<" | "<=" | "~" | "!~" | "exists";

/** Fields of the header that a query can name. */
export type HeaderField =
  | "source"
  | "dyno"
  | "type"
  | "sev"
  | "facility"
  | "msgid"
  | "host"
  | "code"
  | "seq"
  | "time"
  | "text";

/** What a term or a stage refers to. */
export type FieldReference =
  | { readonly kind: "header"; readonly name: HeaderField }
  | { readonly kind: "sd"; readonly id: string; readonly name: string }
  | { readonly kind: "key"; readonly path: readonly string[] };

/** One condition of a query. */
export type Term =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "regex"; readonly regex: Regex }
  | {
      readonly kind: "compare";
      readonly field: FieldReference;
      readonly operator: Operator;
      readonly value: string;
      /** Written in quotes: `*` is then an ordinary character. */
      readonly quoted: boolean;
      /** Set for `~` and `!~`. */
      readonly regex?: Regex;
      /** Where the value stands, 1-based. */
      readonly column: number;
    };

/** The predicate of a query. */
export type Node =
  | { readonly kind: "all" }
  | { readonly kind: "and" | "or"; readonly nodes: readonly Node[] }
  | { readonly kind: "not"; readonly node: Node }
  | { readonly kind: "term"; readonly term: Term };

/** Something `redact` replaces. */
export type RedactTarget = "email" | "ip" | "card" | Regex;

/** One aggregate of a `stats` stage. */
export interface Aggregate {
  readonly name: "count" | "sum" | "avg" | "min" | "max" | "distinct" | "quantile";
  /** 0–1, for `quantile` only. */
  readonly quantile?: number;
  readonly field?: FieldReference;
  /** As written, the name of the result. */
  readonly label: string;
}

/** One step after `|`. Durations are microseconds. */
export type Stage =
  | {
      readonly kind: "parse";
      readonly format: "json" | "logfmt" | "router" | "regex";
      readonly regex?: Regex;
    }
  | { readonly kind: "fields" | "drop"; readonly fields: readonly FieldReference[] }
  | { readonly kind: "redact"; readonly targets: readonly RedactTarget[] }
  | { readonly kind: "sample"; readonly percent: number; readonly by?: FieldReference }
  | {
      readonly kind: "rate";
      readonly perSecond: number;
      readonly burst: number;
      readonly by?: FieldReference;
    }
  | { readonly kind: "dedupe"; readonly windowUs: number; readonly by?: FieldReference }
  | {
      readonly kind: "stats";
      readonly aggregates: readonly Aggregate[];
      readonly by: readonly FieldReference[];
      readonly everyUs?: number;
    }
  | { readonly kind: "head"; readonly count: number };

/** A parsed query. */
export interface ParsedQuery {
  readonly where: Node;
  readonly stages: readonly Stage[];
}
