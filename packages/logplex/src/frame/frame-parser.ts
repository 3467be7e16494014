import { createFault, type FrameFault, type FrameFaultCode } from "./fault.ts";

/** How frames are told apart: by octet count, by LF, or by the first octet of each frame. */
export type Framing = "octet" | "lf" | "auto";

/** Options of {@link FrameParser}. */
export interface FrameParserOptions {
  /**
   * `atomic` stops at the first fault, as an HTTP body needs; `stream` counts it and finds the next
   * frame, as a connection needs.
   */
  readonly mode: "atomic" | "stream";
  /** Default `octet`. */
  readonly framing?: Framing | undefined;
  /** Octets of one message; default 10,240, at most 1 MiB. */
  readonly maxFrameBytes?: number | undefined;
  /** What `atomic` does with a longer frame; `stream` always truncates. Default `reject`. */
  readonly oversize?: "reject" | "truncate" | undefined;
  /** One message is `buffer[start, end)`, valid only during the call; `truncated` when cut. */
  readonly onFrame: (buffer: Buffer, start: number, end: number, truncated: boolean) => void;
  /** Told of every fault of a stream, or of the one of an atomic input. */
  readonly onFault: (fault: FrameFault) => void;
}

/** Default limit of one frame, as Heroku's. */
export const MAX_FRAME_BYTES = 10_240;
/** A longer announced length is not believed (spec/logplex.md §4.7). */
export const MAX_BELIEVED_BYTES = 1024 * 1024;
const MAX_DIGITS = 7;

const LF = 0x0a;
const CR = 0x0d;
const SP = 0x20;

const State = {
  /** Between frames; one line end may still be skipped. */
  Gap: 0,
  /** A CR was skipped; only LF may follow. */
  GapCr: 1,
  /** At the first octet of a frame. */
  Start: 2,
  Length: 3,
  Body: 4,
  /** The rest of an oversize frame. */
  Skip: 5,
  Line: 6,
  /** The rest of an oversize line. */
  SkipLine: 7,
  /** After a fault, up to the next LF. */
  Discard: 8,
  Failed: 9,
} as const;
type State = (typeof State)[keyof typeof State];

/**
 * Cuts octets into syslog frames (RFC 6587 §3.4), whatever the chunks they come in. Frames inside
 * one chunk are handed on in place; only a frame that spans chunks is copied, and no memory is
 * taken for a length before its octets arrive.
 */
export class FrameParser {
  readonly #options: FrameParserOptions;
  readonly #atomic: boolean;
  readonly #framing: Framing;
  readonly #max: number;
  readonly #truncate: boolean;
  #state: State;
  #offset = 0;
  #frameOffset = 0;
  #frames = 0;
  #faults = 0;
  /** Value and digits of the length being read. */
  #length = 0;
  #digits = 0;
  /** Octets of the current frame still to come, of which the last `#excess` are dropped. */
  #missing = 0;
  #excess = 0;
  #carry: Buffer = Buffer.alloc(0);
  #carried = 0;

  constructor(options: FrameParserOptions) {
    this.#options = options;
    this.#atomic = options.mode === "atomic";
    this.#framing = options.framing ?? "octet";
    this.#max = Math.min(options.maxFrameBytes ?? MAX_FRAME_BYTES, MAX_BELIEVED_BYTES);
    this.#truncate = !this.#atomic || options.oversize === "truncate";
    this.#state = this.#gapState();
  }

  /** Frames handed on. */
  get frames(): number {
    return this.#frames;
  }

  /** Faults met. */
  get faults(): number {
    return this.#faults;
  }

  /** True when an atomic input is at fault; it takes no more octets. */
  get failed(): boolean {
    return this.#state === State.Failed;
  }

  /** Takes the next octets. */
  push(chunk: Buffer): void {
    let at = 0;
    const end = chunk.length;
    while (at < end) {
      switch (this.#state) {
        case State.Gap:
        case State.GapCr:
          at = this.#gap(chunk, at);
          break;
        case State.Start:
          at = this.#start(chunk, at);
          break;
        case State.Length:
          at = this.#readLength(chunk, at);
          break;
        case State.Body:
          at = this.#body(chunk, at);
          break;
        case State.Skip: {
          const skipped = Math.min(this.#excess, end - at);
          at += skipped;
          this.#excess -= skipped;
          if (this.#excess === 0) this.#emitCarry(true);
          break;
        }
        case State.Line:
          at = this.#line(chunk, at);
          break;
        case State.SkipLine:
        case State.Discard: {
          const lf = chunk.indexOf(LF, at);
          at = lf === -1 ? end : lf + 1;
          if (lf === -1) break;
          if (this.#state === State.SkipLine) this.#emitCarry(true);
          else this.#state = State.Gap;
          break;
        }
        case State.Failed:
          return;
      }
    }
    this.#offset += end;
  }

  /** Says that no more octets come. */
  end(): void {
    switch (this.#state) {
      case State.Length:
      case State.Body:
      case State.Skip:
        this.#fault("truncated_frame", this.#context());
        break;
      case State.Line:
        this.#emitLine(this.#carry, 0, this.#carried, false);
        break;
      case State.SkipLine:
        this.#emitCarry(true);
        break;
      case State.Start:
        // Only an atomic input is still here at its end: nothing came, or all frames were whole.
        if (this.#atomic && this.#frames === 0 && this.#offset === 0)
          this.#fault("empty_body", this.#context());
        break;
      default:
        break;
    }
    if (this.#state !== State.Failed) this.#state = this.#gapState();
    this.#carry = Buffer.alloc(0);
    this.#carried = 0;
  }

  #gapState(): State {
    return this.#atomic ? State.Start : State.Gap;
  }

  #gap(chunk: Buffer, at: number): number {
    const octet = chunk[at];
    if (this.#state === State.GapCr) {
      if (octet === LF) {
        this.#state = State.Start;
        return at + 1;
      }
      // A lone CR is no line end.
      return this.#reject(chunk, at, at);
    }
    this.#frameOffset = this.#offset + at;
    if (octet === LF) {
      this.#state = State.Start;
      return at + 1;
    }
    if (octet === CR) {
      this.#state = State.GapCr;
      return at + 1;
    }
    this.#state = State.Start;
    return at;
  }

  #start(chunk: Buffer, at: number): number {
    const octet = chunk[at]!;
    this.#frameOffset = this.#offset + at;
    if (this.#framing !== "lf" && octet >= 0x31 && octet <= 0x39) {
      this.#length = octet - 0x30;
      this.#digits = 1;
      this.#state = State.Length;
      return at + 1;
    }
    if (this.#framing === "lf" ? octet !== LF : this.#framing === "auto" && octet === 0x3c) {
      this.#state = State.Line;
      return at;
    }
    // Lines without octets are no messages.
    if (this.#framing === "lf") return at + 1;
    return this.#reject(chunk, at, at + (octet === LF ? 1 : 0));
  }

  #readLength(chunk: Buffer, from: number): number {
    let at = from;
    let length = this.#length;
    let digits = this.#digits;
    for (; at < chunk.length; at += 1) {
      const digit = chunk[at]! - 0x30;
      if (digit < 0 || digit > 9 || digits > MAX_DIGITS) break;
      length = length * 10 + digit;
      digits += 1;
    }
    this.#length = length;
    this.#digits = digits;
    // The eighth digit is the fault, wherever a chunk ends.
    if (digits > MAX_DIGITS) return this.#reject(chunk, at - 1, at - 1);
    if (at === chunk.length) return at;
    if (chunk[at] !== SP) return this.#reject(chunk, at, at);
    return this.#announced(chunk, at + 1);
  }

  /** The length is known; `at` is the first octet of the message. */
  #announced(chunk: Buffer, at: number): number {
    const length = this.#length;
    if (length <= this.#max) {
      if (chunk.length - at >= length) {
        // The common case: the whole frame lies in this chunk.
        this.#state = this.#gapState();
        this.#frames += 1;
        this.#options.onFrame(chunk, at, at + length, false);
        return at + length;
      }
      this.#missing = length;
      this.#excess = 0;
      this.#state = State.Body;
      return at;
    }
    if (!this.#truncate) {
      this.#fault("frame_too_large", Buffer.from(`${length} `));
      return at;
    }
    if (!this.#atomic && length > MAX_BELIEVED_BYTES) {
      this.#fault("frame_too_large", Buffer.from(`${length} `));
      this.#state = State.Discard;
      return at;
    }
    this.#missing = this.#max;
    this.#excess = length - this.#max;
    this.#state = State.Body;
    return at;
  }

  #body(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#missing, chunk.length - at);
    this.#keep(chunk, at, at + taken);
    this.#missing -= taken;
    if (this.#missing === 0) {
      if (this.#excess > 0) this.#state = State.Skip;
      else this.#emitCarry(false);
    }
    return at + taken;
  }

  #line(chunk: Buffer, at: number): number {
    const lf = chunk.indexOf(LF, at);
    const stop = lf === -1 ? chunk.length : lf;
    // One octet more than the limit may be the CR of the line end.
    const room = this.#max + 1 - this.#carried;
    if (stop - at > room) {
      if (!this.#truncate) {
        this.#keep(chunk, at, at + Math.min(room, 64));
        this.#fault("frame_too_large", this.#carry.subarray(0, Math.min(64, this.#carried)));
        return at;
      }
      this.#keep(chunk, at, at + room);
      this.#carried = this.#max;
      this.#state = State.SkipLine;
      return at + room;
    }
    if (lf === -1) {
      this.#keep(chunk, at, stop);
      return stop;
    }
    if (this.#carried === 0) this.#emitLine(chunk, at, stop, true);
    else {
      this.#keep(chunk, at, stop);
      this.#emitLine(this.#carry, 0, this.#carried, true);
    }
    return stop + 1;
  }

  #emitLine(buffer: Buffer, start: number, stop: number, terminated: boolean): void {
    const end = terminated && stop > start && buffer[stop - 1] === CR ? stop - 1 : stop;
    const cut = end - start > this.#max;
    if (cut && !this.#truncate) {
      this.#fault("frame_too_large", buffer.subarray(start, start + 64));
      return;
    }
    this.#state = this.#gapState();
    this.#carried = 0;
    this.#frames += 1;
    this.#options.onFrame(buffer, start, cut ? start + this.#max : end, cut);
  }

  #emitCarry(truncated: boolean): void {
    const length = this.#carried;
    this.#carried = 0;
    this.#state = this.#gapState();
    this.#frames += 1;
    this.#options.onFrame(this.#carry, 0, length, truncated);
  }

  /** Copies octets that must wait for more; the buffer doubles and is never larger than needed. */
  #keep(chunk: Buffer, start: number, end: number): void {
    const needed = this.#carried + end - start;
    if (needed > this.#carry.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(this.#max + 1, needed * 2)));
      this.#carry.copy(larger, 0, 0, this.#carried);
      this.#carry = larger;
    }
    chunk.copy(this.#carry, this.#carried, start, end);
    this.#carried = needed;
  }

  /** A frame can't begin like this; a stream goes on after the next LF at or behind `resume`. */
  #reject(chunk: Buffer, at: number, resume: number): number {
    const head = this.#state === State.Length ? String(this.#length).slice(0, MAX_DIGITS) : "";
    const octet = chunk.subarray(at, at + 1);
    const context = Buffer.concat([Buffer.from(this.#state === State.GapCr ? "\r" : head), octet]);
    const skipsOwn = resume > at;
    this.#fault("bad_length", context);
    if (this.#atomic) return resume;
    // An LF at the start of a frame is itself the end of what is discarded.
    this.#state = skipsOwn ? State.Gap : State.Discard;
    return resume;
  }

  #fault(code: FrameFaultCode, context: Uint8Array): void {
    this.#faults += 1;
    this.#options.onFault(createFault(code, this.#frameOffset, this.#frames, context));
    this.#carried = 0;
    if (this.#atomic) this.#state = State.Failed;
  }

  #context(): Buffer {
    if (this.#state === State.Start) return Buffer.alloc(0);
    const head = Buffer.from(this.#state === State.Length ? `${this.#length}` : `${this.#length} `);
    return Buffer.concat([head, this.#carry.subarray(0, Math.min(64, this.#carried))]);
  }
}
