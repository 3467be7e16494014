import type { LogChunk } from "../../../../src/index.ts";

/** What the engine refuses, as it goes over the wire. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

/** A line of an answer that streams: a value, an end by an error, or nothing to keep it alive. */
export type WireLine<T> = { readonly value: T } | { readonly error: WireError };

export type WireChunk = Omit<LogChunk, "bytes"> & { readonly text: string };
export interface WireOutput {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

export const toText = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
export const toBytes = (text: string): Uint8Array => Buffer.from(text, "base64");
