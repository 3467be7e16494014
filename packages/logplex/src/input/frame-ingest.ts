import { isUtf8 } from "node:buffer";
import type { Channel } from "../channel/channel.ts";
import { MAX_LINE_BYTES } from "../frame/split.ts";
import { type InputDialect, SyslogParser } from "../frame/syslog-parser.ts";
import { FLAG } from "../message.ts";
import { Batch } from "../ring/batch.ts";
import { createHead, type Head } from "../ring/head.ts";
import type { Token } from "../token/tokens.ts";
import { safeProcid } from "./procid.ts";

/** Where a frame goes. */
export interface Destination {
  readonly channel: Channel;
  readonly token: Token;
}

/** What a header leads to, until tokens change. */
interface Known {
  readonly version: number;
  /** Undefined: an unknown token. */
  readonly route: Route | undefined;
}

interface Route extends Destination {
  /** By PRI; messages without structured data share their head. */
  readonly heads: Head[];
}

/** Octets of a header that may be kept beside a body for the sake of copying once. */
const MAX_HEADER_WASTE = 512;

/**
 * Parses frames and appends them to channels. Frames of one buffer that go to one channel are
 * copied together; {@link flush} must be called before a buffer is given up.
 */
export class FrameIngest {
  /** Messages appended since the last {@link reset}. */
  accepted = 0;
  /** Bytes of their bodies. */
  bytes = 0;
  /** Frames without a channel: an unknown token, or no message at all. */
  rejected = 0;
  /** Why the last frame was rejected. */
  lastRejection: "malformed" | "unknown_token" = "malformed";
  /** Messages kept though they are no syslog messages. */
  unparsed = 0;
  readonly #parser: SyslogParser;
  readonly #batch = new Batch();
  readonly #resolve: (appName: string) => Destination | undefined;
  readonly #bound: Destination | undefined;
  #channel: Channel | undefined;
  readonly #touched = new Set<Channel>();
  readonly #onAccepted: (channel: Channel, messages: number, bytes: number) => void;
  /** The channel of the latest frames, and how far these were told to `onAccepted`. */
  #counting: Channel | undefined;
  #countedMessages = 0;
  #countedBytes = 0;
  #receivedAt = 0;
  #version = -1;

  /** `bound`: all frames go there. Otherwise `resolve` finds the token that APP-NAME carries. */
  constructor(options: {
    readonly dialect?: InputDialect | undefined;
    readonly bound?: Destination | undefined;
    readonly resolve: (appName: string) => Destination | undefined;
    /** Told what each channel got, at the latest by {@link flush}. */
    readonly onAccepted: (channel: Channel, messages: number, bytes: number) => void;
  }) {
    this.#onAccepted = options.onAccepted;
    this.#parser = new SyslogParser(options.dialect);
    this.#bound = options.bound;
    this.#resolve = options.resolve;
  }

  /** Begins a buffer; `receivedAt` in µs. A new `version` means that tokens have changed. */
  begin(buffer: Buffer, receivedAt: number, version: number): void {
    this.#version = version;
    this.#receivedAt = receivedAt;
    this.#parser.validBuffer = isUtf8(buffer) ? buffer : undefined;
  }

  /** Takes one frame; false when it has no channel. */
  frame(buffer: Buffer, start: number, end: number, truncated: boolean): boolean {
    const parser = this.#parser;
    const parsed = parser.parse(buffer, start, end);
    const route = this.#route(parsed);
    if (route === undefined) {
      this.rejected += 1;
      this.lastRejection = parsed ? "unknown_token" : "malformed";
      return false;
    }
    if (!parsed) this.unparsed += 1;
    const { bodyStart, bodyEnd } = parser;
    let { flags, ts } = parser;
    if (Number.isNaN(ts)) ts = this.#receivedAt;
    if (truncated) flags |= FLAG.truncated;
    const head = this.#head(route, parser);
    const { channel } = route;
    if (channel !== this.#counting) this.#count(channel);
    this.accepted += 1;
    this.bytes += bodyEnd - bodyStart;
    if (bodyEnd - bodyStart > MAX_LINE_BYTES || bodyStart - start > MAX_HEADER_WASTE) {
      this.#append();
      this.#touched.add(channel);
      channel.append(head, ts, this.#receivedAt, flags, buffer, bodyStart, bodyEnd, parser.tsText);
      return true;
    }
    const batch = this.#batch;
    if (batch.buffer !== buffer || this.#channel !== channel) {
      this.#append();
      batch.reset(buffer);
      this.#channel = channel;
      this.#touched.add(channel);
    }
    const room = batch.add(head, ts, flags, bodyStart, bodyEnd, parser.tsText);
    // A buffer of the frame parser's own is used again for the next frame that spans chunks.
    if (!room) this.#append();
    return true;
  }

  /** Appends what is pending, for a buffer that will be overwritten. */
  settle(): void {
    this.#append();
  }

  /** Appends what is pending and tells the readers; returns the channels that got something. */
  flush(): readonly Channel[] {
    this.#append();
    this.#count(undefined);
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const channel of touched) channel.commit();
    return touched;
  }

  /** Tells what the channel of the latest frames got; `next` is that of the next ones. */
  #count(next: Channel | undefined): void {
    const messages = this.accepted - this.#countedMessages;
    const bytes = this.bytes - this.#countedBytes;
    if (this.#counting !== undefined && messages > 0)
      this.#onAccepted(this.#counting, messages, bytes);
    this.#counting = next;
    this.#countedMessages = this.accepted;
    this.#countedBytes = this.bytes;
  }

  /** Forgets the sums that its owner has read. */
  reset(): void {
    this.accepted = 0;
    this.bytes = 0;
    this.rejected = 0;
    this.#countedMessages = 0;
    this.#countedBytes = 0;
  }

  #append(): void {
    const batch = this.#batch;
    if (batch.count > 0) this.#channel!.appendBatch(batch, this.#receivedAt);
    batch.reset(undefined);
  }

  #route(parsed: boolean): Route | undefined {
    const { header } = this.#parser;
    // The header object is the same for the same octets.
    const known = header.memo as Known | undefined;
    if (known !== undefined && known.version === this.#version) return known.route;
    let destination = this.#bound;
    if (destination === undefined && parsed && header.appName.startsWith("t."))
      destination = this.#resolve(header.appName);
    const route = destination === undefined ? undefined : { ...destination, heads: [] };
    header.memo = { version: this.#version, route } satisfies Known;
    return route;
  }

  #head(route: Route, parser: SyslogParser): Head {
    const { pri, header, sd } = parser;
    if (sd.length === 0) {
      const shared = route.heads[pri];
      if (shared !== undefined) return shared;
    }
    const head = createHead(
      pri,
      route.token.name,
      safeProcid(header.procid, route.token),
      header.hostname,
      header.msgid,
      sd,
    );
    if (sd.length === 0) route.heads[pri] = head;
    return head;
  }
}
