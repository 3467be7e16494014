import type { Ring } from "../ring/ring.ts";
import { DEFAULT_LAG, type SubscribeOptions, type Subscription } from "./subscription.ts";

interface Follower extends Subscription {
  readonly messages: number;
  readonly bytes: number;
  readonly onAppend: (nextSeq: number) => void;
}

/** Those who read a channel at their own pace, and what it keeps for them. */
export class Followers {
  readonly #all = new Set<Follower>();

  /** Holds messages for one more reader; `nextSeq` is where it begins unless it says so. */
  add(options: SubscribeOptions, nextSeq: number): Subscription {
    const follower: Follower & { cursor: number } = {
      cursor: options.fromSeq ?? nextSeq,
      messages: options.lag?.messages ?? DEFAULT_LAG.messages,
      bytes: options.lag?.bytes ?? DEFAULT_LAG.bytes,
      onAppend: options.onAppend,
      advance: (seq) => {
        follower.cursor = Math.max(follower.cursor, seq);
      },
      close: () => {
        this.#all.delete(follower);
      },
    };
    this.#all.add(follower);
    return follower;
  }

  /** Tells all of an append. */
  tell(nextSeq: number): void {
    for (const follower of this.#all) follower.onAppend(nextSeq);
  }

  /** The least of `seq` and what any of them looks at next. */
  earliest(seq: number): number {
    let wanted = seq;
    for (const { cursor } of this.#all) wanted = Math.min(wanted, cursor);
    return wanted;
  }

  /** The oldest message that one of them may still ask for, within its lag. */
  floor(ring: Ring): number {
    let floor = ring.nextSeq;
    for (const follower of this.#all) {
      let wanted = Math.max(follower.cursor, ring.nextSeq - follower.messages, ring.firstSeq);
      if (wanted >= floor) continue;
      const minimum = ring.endPosition - follower.bytes;
      // The first message that the allowed bytes reach back to.
      for (let high = ring.nextSeq; wanted < high; ) {
        const middle = Math.floor((wanted + high) / 2);
        if (ring.positionOf(middle) < minimum) wanted = middle + 1;
        else high = middle;
      }
      floor = Math.min(floor, wanted);
    }
    return floor;
  }

  clear(): void {
    this.#all.clear();
  }
}
