import { byTime } from "../tail/time-window.ts";
import type { Batch } from "./batch.ts";
import type { DrainOutput } from "./drain-parts.ts";
import { joinPieces } from "./rejoin.ts";
import type { OutgoingFrame } from "./transport/transport.ts";

/** The request of a batch; it is made once, so that every try sends the same octets. */
export function encodeBatch(batch: Batch, output: DrainOutput): OutgoingFrame {
  if (batch.frame) return batch.frame;
  const { rejoin, sortMs } = output.options;
  const whole = rejoin ? joinPieces(batch.messages) : batch.messages;
  const messages = sortMs > 0 ? [...whole].sort(byTime) : whole;
  const { body, count, ends } = output.encoder.encode(messages, batch.announcement);
  batch.frame = {
    id: batch.id,
    body,
    count,
    contentType: output.encoder.contentType,
    ...(ends ? { ends } : {}),
  };
  return batch.frame;
}
