import { randomBytes } from "node:crypto";
import { F } from "../codec/field-names.ts";
import type { Head } from "../codec/head.ts";

/** What a `traceparent` field of W3C Trace Context says. */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  /** Two hexadecimal digits, relayed as they are. */
  readonly flags: string;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Reads a `traceparent` value; null when it is not valid. */
export function parseTraceparent(value: string): TraceParent | null {
  const match = TRACEPARENT.exec(value);
  if (match === null) return null;
  const [, version, traceId = "", spanId = "", flags = "", more] = match;
  // Version 00 has four parts; ids of zeros alone name nothing.
  if (version === "ff" || (version === "00" && more !== undefined)) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, flags };
}

/** A span of our own: in the trace that the client began, else in a new one that nobody samples. */
export function ownSpan(head: Head): { readonly line: string; readonly continues: boolean } {
  const parent = parseTraceparent(head.get(F.traceparent) ?? "");
  const traceId = parent?.traceId ?? randomBytes(16).toString("hex");
  const span = randomBytes(8).toString("hex");
  return {
    line: `traceparent: 00-${traceId}-${span}-${parent?.flags ?? "00"}\r\n`,
    continues: parent !== null,
  };
}
