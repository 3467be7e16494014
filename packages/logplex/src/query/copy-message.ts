import type { StoredMessage } from "../message.ts";

/**
 * A copy with some fields changed. Messages of a ring compute fields when they are asked for, so an
 * object spread would lose them.
 */
export function copyMessage(
  message: StoredMessage,
  changes: Partial<StoredMessage>,
): StoredMessage {
  const { seq, id, ts, tsText, receivedAt, pri, facility, severity } = message;
  const { source, procid, hostname, msgid, sd, body, flags, split } = message;
  return {
    ...{ seq, id, ts, tsText, receivedAt, pri, facility, severity },
    ...{ source, procid, hostname, msgid, sd, body, flags, split },
    ...changes,
  };
}
