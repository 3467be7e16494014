import type { StoredMessage } from "../message.ts";
import type { Channel } from "./channel.ts";

/**
 * Gives each message that a channel gets from now on to `take`, after the append has returned: who
 * writes does not wait for it. Returns what ends it, which is idempotent.
 */
export function followMessages(
  channel: Channel,
  take: (message: StoredMessage) => void,
): () => void {
  let scheduled = false;
  let closed = false;
  const look = (): void => {
    scheduled = false;
    while (!closed && subscription.cursor < channel.nextSeq) {
      const { messages, nextSeq } = channel.read(subscription.cursor, 512);
      subscription.advance(nextSeq);
      for (const message of messages) take(message);
    }
  };
  const subscription = channel.subscribe({
    onAppend: () => {
      if (scheduled) return;
      scheduled = true;
      queueMicrotask(look);
    },
  });
  return () => {
    closed = true;
    subscription.close();
  };
}
