import type { StoredMessage } from "../../message.ts";
import { readRecord } from "../record.ts";

/** One entry of a channel's stream: messages that were appended together. */
export interface Entry {
  /** Number of its first message. */
  readonly first: number;
  readonly count: number;
  /** Records, when they are not decoded yet. */
  readonly octets?: Buffer;
  readonly messages?: readonly StoredMessage[];
}

/** The messages of an entry with the numbers that they got. A damaged record is left out. */
export function decodeEntry(
  entry: Entry,
  faults: { damagedRecords: number },
): readonly StoredMessage[] {
  if (entry.messages !== undefined) return entry.messages;
  const octets = entry.octets ?? Buffer.alloc(0);
  const messages: StoredMessage[] = [];
  let proposed: number | undefined;
  for (let at = 0; ; ) {
    const found = readRecord(octets, at);
    if (found.kind === "end") break;
    at = found.next;
    if (found.kind === "damage") {
      faults.damagedRecords += 1;
      continue;
    }
    const { message } = found;
    proposed ??= message.seq;
    const seq = entry.first + (message.seq - proposed);
    messages.push({ ...message, seq, id: `${Math.floor(message.receivedAt / 1000)}-${seq}` });
  }
  return messages;
}

/** The same messages with the numbers that the engine gave. */
export function renumber(
  messages: readonly StoredMessage[],
  first: number,
): readonly StoredMessage[] {
  if (messages[0]?.seq === first) return messages;
  return messages.map((message, index) => {
    const seq = first + index;
    const {
      ts,
      receivedAt,
      pri,
      facility,
      severity,
      source,
      procid,
      hostname,
      msgid,
      sd,
      body,
      flags,
    } = message;
    return {
      seq,
      id: `${Math.floor(receivedAt / 1000)}-${seq}`,
      ts,
      receivedAt,
      pri,
      facility,
      severity,
      source,
      procid,
      hostname,
      msgid,
      sd,
      body,
      flags,
      ...(message.tsText === undefined ? {} : { tsText: message.tsText }),
      ...(message.split === undefined ? {} : { split: message.split }),
    };
  });
}
