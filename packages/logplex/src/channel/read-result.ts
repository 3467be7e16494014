import type { StoredMessage } from "../message.ts";

/** Messages from a sequence number on. */
export interface ReadResult {
  readonly messages: readonly StoredMessage[];
  /** Exactly how many messages between the asked and the first available one are gone. */
  readonly trimmed: number;
  /** Where the next read goes on. */
  readonly nextSeq: number;
}
