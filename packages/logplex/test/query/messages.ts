import type { StoredMessage } from "../../src/message.ts";

/** A message with defaults for whatever a test does not care about. */
export function message(
  fields: Partial<Omit<StoredMessage, "body">> & { body?: string | Uint8Array } = {},
): StoredMessage {
  const { body = "hello", ...rest } = fields;
  const pri = rest.pri ?? 190;
  return {
    seq: 1,
    id: "1773480413589-0",
    ts: 1_773_480_413_589_793,
    receivedAt: 1_773_480_413_590_000,
    pri,
    facility: pri >> 3,
    severity: pri & 7,
    source: "app",
    procid: "web.1",
    hostname: "host",
    msgid: "",
    sd: [],
    flags: new Set(),
    ...rest,
    body: typeof body === "string" ? Buffer.from(body) : body,
  };
}
