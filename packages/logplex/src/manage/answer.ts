import type { FilterOptions } from "../channel/filter.ts";

/** What the management API answers. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Instead of JSON. */
  readonly raw?: Buffer;
  /** Instead of all of it: answers by itself, with these headers among its own. */
  readonly stream?: (headers: Readonly<Record<string, string>>) => Promise<void>;
}

type Json = Readonly<Record<string, unknown>>;

/** `fromSeq` or `since` (ms or a time of RFC 3339), and `to`; undefined when they are no such things. */
export function replayRange(
  value: Json,
): { fromSeq?: number; since?: number; to?: number } | undefined {
  const range: { fromSeq?: number; since?: number; to?: number } = {};
  for (const name of ["fromSeq", "since", "to"] as const) {
    const given = value[name];
    if (given === undefined) continue;
    const number = name === "since" && typeof given === "string" ? Date.parse(given) : given;
    if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0) return undefined;
    range[name] = number;
  }
  return range;
}

/** A refusal. */
export function fail(status: number, error: string): Answer {
  return { status, body: { error } };
}

/** The path is right, the method is not. */
export function notAllowed(allow: string): Answer {
  return { ...fail(405, "method not allowed"), headers: { Allow: allow } };
}

/** A text that says something, else undefined. */
export function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Conditions of a reader out of a query string (spec/logplex.md §8.3). */
export function filterOf(parameters: URLSearchParams): FilterOptions {
  return {
    query: parameters.get("query") ?? undefined,
    source: parameters.get("source") ?? undefined,
    dyno: parameters.get("dyno") ?? parameters.get("ps") ?? undefined,
    type: parameters.get("type") ?? undefined,
  };
}
