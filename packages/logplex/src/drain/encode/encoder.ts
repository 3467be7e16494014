import type { StoredMessage } from "../../message.ts";
import type { LossCause } from "../ledger.ts";
import type { Announcement } from "../notices.ts";

/** Loss told to the receiver, with what strict dialects add as structured data. */
export interface FrameAnnouncement extends Announcement {
  readonly fromSeq?: number;
  readonly toSeq?: number;
  readonly cause?: LossCause;
  /** When the frame was cut, µs since the epoch: the time of the notice. */
  readonly atUs: number;
}

/** A batch in the form of its dialect. */
export interface EncodedBatch {
  readonly body: Buffer;
  /** Messages in the body as the receiver counts them, an L10 included. */
  readonly count: number;
  /** Ends of the messages in `body`, for transports that must not cut one in two. */
  readonly ends?: Uint32Array;
}

/** Turns batches of messages into bytes. */
export interface BatchEncoder {
  readonly contentType: string;
  encode(messages: readonly StoredMessage[], announcement?: FrameAnnouncement): EncodedBatch;
  /** Takes the buffer of a body back that nobody reads any more, to use it for the next one. */
  recycle?(body: Buffer): void;
  /** About how many bytes a message takes beside its body. */
  readonly overhead: number;
}
