import { createHash } from "node:crypto";
import type { FieldReference } from "../ast.ts";
import type { StageRun } from "../pipeline.ts";
import { MessageView } from "../view.ts";
import { valueText } from "./reshape.ts";

/** Keys one stage remembers; the one unused for longest is forgotten first. */
export const MAX_KEYS = 10_000;

/**
 * Keeps a share. The choice depends on the key's value, or on `seq` without key, so every reader
 * of the channel sees the same sample and pieces of one long line stay together.
 */
export function createSample(percent: number, by: FieldReference | undefined): StageRun {
  const view = new MessageView();
  const limit = (percent / 100) * 2 ** 32;
  return {
    push(row, emit) {
      const { message } = row;
      const key = by
        ? (valueText(view.reset(message, row.keys).value(by)) ?? "")
        : (message.split?.group ?? String(message.seq));
      if (hash32(key) < limit) emit(row);
    },
  };
}

/** FNV-1a with a final mix: neighbouring numbers land far apart. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

interface Bucket {
  tokens: number;
  atUs: number;
}

/** Token bucket per key on the time of receipt, so a replay gives the same result. */
export function createRate(
  perSecond: number,
  burst: number,
  by: FieldReference | undefined,
): StageRun {
  const view = new MessageView();
  const buckets = new Map<string, Bucket>();
  return {
    push(row, emit) {
      const { message } = row;
      const key = by ? (valueText(view.reset(message, row.keys).value(by)) ?? "") : "";
      const bucket = buckets.get(key) ?? { tokens: burst, atUs: message.receivedAt };
      const elapsed = Math.max(0, message.receivedAt - bucket.atUs);
      bucket.tokens = Math.min(burst, bucket.tokens + (elapsed / 1e6) * perSecond);
      bucket.atUs = Math.max(bucket.atUs, message.receivedAt);
      remember(buckets, key, bucket);
      if (bucket.tokens < 1) return;
      bucket.tokens--;
      emit(row);
    },
  };
}

/** Lets the first of equal messages through and drops the others until the window has passed. */
export function createDedupe(windowUs: number, by: FieldReference | undefined): StageRun {
  const view = new MessageView();
  const seen = new Map<string, number>();
  return {
    push(row, emit) {
      const { message } = row;
      view.reset(message, row.keys);
      const key = by
        ? (valueText(view.value(by)) ?? "")
        : `${message.source}\0${message.procid}\0${bodyKey(view.bytes)}`;
      const last = seen.get(key);
      if (last !== undefined && message.receivedAt - last < windowUs) return;
      remember(seen, key, message.receivedAt);
      emit(row);
    },
  };
}

function bodyKey(body: Buffer): string {
  return body.length <= 128
    ? body.toString("latin1")
    : createHash("sha256").update(body).digest("base64");
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_KEYS) map.delete(map.keys().next().value as string);
}
