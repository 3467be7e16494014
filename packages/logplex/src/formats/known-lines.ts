import type { StoredMessage } from "../message.ts";
import { scanLogfmt } from "../query/logfmt.ts";

/** One figure out of a line. */
export interface LineMetric {
  readonly kind: "measure" | "sample" | "count";
  readonly name: string;
  readonly value: number;
  /** `ms`, `MB`, `pages`; `""` when there is none. */
  readonly unit: string;
}

/** What a well-known line says (spec/logplex.md §15). */
export type KnownLine =
  | {
      readonly kind: "router";
      readonly at: string;
      readonly method: string;
      readonly path: string;
      readonly host: string;
      readonly requestId: string;
      readonly fwd: string;
      readonly dyno: string;
      /** ms; undefined where the line has an empty value. */
      readonly connectMs: number | undefined;
      readonly serviceMs: number | undefined;
      readonly status: number | undefined;
      readonly bytes: number | undefined;
      readonly protocol: string;
      /** `H12`, on errors. */
      readonly code: string | undefined;
      readonly desc: string | undefined;
    }
  | {
      readonly kind: "metrics";
      /** The dyno that `source=` in the body names, not the source of the header. */
      readonly dyno: string | undefined;
      /** The unique instance that `dyno=` in the body names. */
      readonly instance: string | undefined;
      readonly metrics: readonly LineMetric[];
    }
  | { readonly kind: "state"; readonly from: string; readonly to: string }
  | { readonly kind: "exit"; readonly status: number }
  | { readonly kind: "error"; readonly code: string; readonly text: string };

const NUMBER = /^(-?\d+(?:\.\d+)?)([A-Za-z%]*)$/;

/** The pairs of a logfmt body, in order; the first of a repeated key wins. */
export function logfmtPairs(body: Uint8Array): ReadonlyMap<string, string> {
  const octets = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const pairs = new Map<string, string>();
  scanLogfmt(body, (keyFrom, keyTo, from, to, quoted) => {
    const key = octets.toString("utf8", keyFrom, keyTo);
    const value = octets.toString("utf8", from, to);
    if (!pairs.has(key)) pairs.set(key, quoted ? value.replace(/\\(.)/g, "$1") : value);
    return false;
  });
  return pairs;
}

function number(text: string | undefined): number | undefined {
  const match = NUMBER.exec(text ?? "");
  return match === null ? undefined : Number(match[1]);
}

/** What a message says when it is one of the platform's well-known lines; undefined otherwise. */
export function parseKnownLine(message: StoredMessage): KnownLine | undefined {
  const { body, source, procid } = message;
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
  if (source === "heroku" && procid === "router" && text.startsWith("at=")) return router(body);
  if (text.includes("#")) {
    const line = metrics(body);
    if (line !== undefined) return line;
  }
  if (source !== "heroku") return undefined;
  const state = /^State changed from (\S+) to (\S+)$/.exec(text);
  if (state !== null) return { kind: "state", from: state[1]!, to: state[2]! };
  const exit = /^Process exited with status (\d{1,3})\b/.exec(text);
  if (exit !== null) return { kind: "exit", status: Number(exit[1]) };
  const error = /^Error ([A-Z]\d{1,3})\b/.exec(text);
  return error === null ? undefined : { kind: "error", code: error[1]!, text };
}

function router(body: Uint8Array): KnownLine {
  const pairs = logfmtPairs(body);
  const text = (key: string): string => pairs.get(key) ?? "";
  return {
    kind: "router",
    at: text("at"),
    method: text("method"),
    path: text("path"),
    host: text("host"),
    requestId: text("request_id"),
    fwd: text("fwd"),
    dyno: text("dyno"),
    connectMs: number(pairs.get("connect")),
    serviceMs: number(pairs.get("service")),
    status: number(pairs.get("status")),
    bytes: number(pairs.get("bytes")),
    protocol: text("protocol"),
    code: pairs.get("code"),
    desc: pairs.get("desc"),
  };
}

function metrics(body: Uint8Array): KnownLine | undefined {
  const found: LineMetric[] = [];
  const pairs = logfmtPairs(body);
  for (const [key, value] of pairs) {
    const match = /^(measure|sample|count)#(.+)$/.exec(key);
    const figure = NUMBER.exec(value);
    if (match === null || figure === null) continue;
    found.push({
      kind: match[1] as LineMetric["kind"],
      name: match[2]!,
      value: Number(figure[1]),
      unit: figure[2]!,
    });
  }
  if (found.length === 0) return undefined;
  return {
    kind: "metrics",
    dyno: pairs.get("source"),
    instance: pairs.get("dyno"),
    metrics: found,
  };
}
