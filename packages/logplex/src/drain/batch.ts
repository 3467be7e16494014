import type { StoredMessage } from "../message.ts";
import type { FrameAnnouncement } from "./encode/encoder.ts";
import { frameId } from "./frame-id.ts";
import type { FrameBoundary } from "./store/drain-store.ts";
import type { OutgoingFrame } from "./transport/transport.ts";

/** Messages that go out together, from cutting to their end. */
export class Batch {
  readonly firstSeq: number;
  /** Inclusive; filtered messages at the edges belong to the range. */
  readonly lastSeq: number;
  readonly messages: readonly StoredMessage[];
  /** Replays are sent once more: they are not part of the account. */
  readonly replay: number | undefined;
  readonly announcement: FrameAnnouncement | undefined;
  readonly id: string;
  attempts: number;
  /** Kept between tries so that a repeated frame is the same to the byte. */
  frame: OutgoingFrame | undefined;

  constructor(
    token: string,
    range: { readonly firstSeq: number; readonly lastSeq: number },
    messages: readonly StoredMessage[],
    options: {
      readonly announcement?: FrameAnnouncement | undefined;
      readonly replay?: number | undefined;
      readonly attempts?: number;
    } = {},
  ) {
    this.firstSeq = range.firstSeq;
    this.lastSeq = range.lastSeq;
    this.messages = messages;
    this.announcement = options.announcement;
    this.replay = options.replay;
    this.attempts = options.attempts ?? 0;
    const scope = this.replay === undefined ? token : `${token}\nreplay ${this.replay}`;
    this.id = frameId(scope, range.firstSeq, range.lastSeq);
  }

  /** Time of receipt of the newest message, ms. */
  get newestMs(): number {
    return (this.messages[this.messages.length - 1]?.receivedAt ?? 0) / 1000;
  }

  get boundary(): FrameBoundary {
    return {
      firstSeq: this.firstSeq,
      lastSeq: this.lastSeq,
      attempts: this.attempts,
      announcement: this.announcement,
    };
  }

  /** Two halves; the first one carries the announcement. */
  halves(token: string): [Batch, Batch] {
    const middle = this.messages.length >> 1;
    const cut = (this.messages[middle] as StoredMessage).seq;
    const { replay } = this;
    return [
      new Batch(
        token,
        { firstSeq: this.firstSeq, lastSeq: cut - 1 },
        this.messages.slice(0, middle),
        {
          announcement: this.announcement,
          replay,
        },
      ),
      new Batch(token, { firstSeq: cut, lastSeq: this.lastSeq }, this.messages.slice(middle), {
        replay,
      }),
    ];
  }
}
