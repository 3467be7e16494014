import type { StoredMessage } from "../message.ts";
import { restoredFlags } from "../spool/record.ts";
import { createHead } from "./head.ts";
import type { Ring } from "./ring.ts";

/** Puts messages that have their numbers already into a ring; what is missing between them is a hole. */
export function fillRing(ring: Ring, messages: readonly StoredMessage[]): void {
  for (const message of messages) {
    if (message.seq !== ring.nextSeq) ring.skipTo(message.seq);
    const { pri, source, procid, hostname, msgid, sd, ts, receivedAt, body } = message;
    ring.append(
      createHead(pri, source, procid, hostname, msgid, sd),
      ts,
      receivedAt,
      restoredFlags(message),
      body,
      0,
      body.length,
      message.tsText,
      message.split,
    );
  }
}
