import { isUtf8 } from "node:buffer";
import { priOf } from "../channel/head-cache.ts";
import { FLAG } from "../message.ts";
import { createHead, type Head } from "../ring/head.ts";
import type { Destination } from "./frame-ingest.ts";
import { safeProcid } from "./procid.ts";
import type { IncomingRecord } from "./records.ts";

/** Appends records and tells the readers; returns the bytes of the bodies. `receivedAt` in µs. */
export function appendRecords(
  { channel, token }: Destination,
  records: readonly IncomingRecord[],
  receivedAt: number,
): number {
  const heads = new Map<string, Head>();
  let bytes = 0;
  for (const record of records) {
    const { body, hostname = "", msgid = "", severity = 6 } = record;
    const procid = safeProcid(record.procid ?? "", token);
    const key = JSON.stringify([procid, hostname, msgid, severity]);
    let head = heads.get(key);
    if (head === undefined) {
      head = createHead(priOf(token.name, procid, severity), token.name, procid, hostname, msgid);
      heads.set(key, head);
    }
    let flags = isUtf8(body) ? 0 : FLAG.notUtf8;
    if (record.badTs === true) flags |= FLAG.badTimestamp;
    const ts = record.ts ?? receivedAt;
    channel.append(head, ts, receivedAt, flags, body, 0, body.length);
    bytes += body.length;
  }
  channel.commit();
  return bytes;
}
