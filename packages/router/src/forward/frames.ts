/** Finds frame borders in one direction of a WebSocket without touching the octets (RFC 6455 §5.2). */
export class FrameTracker {
  /** Status code of a Close frame that went by; 0 before. 1005 when it had none. */
  closeCode = 0;
  #header = Buffer.alloc(14);
  #have = 0;
  #need = 2;
  /** Octets of the payload that are still to come. */
  #left = 0;
  #close = 0;
  #closeOctets = 0;
  #mask = 0;

  /** Whether the last octet seen ended a frame. */
  get atBoundary(): boolean {
    return this.#left === 0 && this.#have === 0;
  }

  /** Takes note of octets. Returns the offset of the first frame border in them, or -1. */
  feed(chunk: Uint8Array): number {
    let border = -1;
    let i = 0;
    while (i < chunk.length) {
      if (this.#left > 0) {
        const skip = Math.min(this.#left, chunk.length - i);
        if (this.#close === 1)
          for (let k = i; k < i + skip && this.#closeOctets < 2; k++)
            this.#closeOctet(chunk[k] as number);
        this.#left -= skip;
        i += skip;
        if (this.#left === 0 && border < 0) border = i;
        continue;
      }
      this.#header[this.#have++] = chunk[i++] as number;
      if (this.#have === 2) {
        const second = this.#header[1] as number;
        const length = second & 127;
        this.#mask = second >> 7;
        this.#need = 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + this.#mask * 4;
      }
      if (this.#have >= 2 && this.#have === this.#need) {
        this.#startPayload();
        if (this.#left === 0 && border < 0) border = i;
      }
    }
    return border;
  }

  #startPayload(): void {
    const length = (this.#header[1] as number) & 127;
    this.#left =
      length === 126
        ? this.#header.readUInt16BE(2)
        : length === 127
          ? Number(this.#header.readBigUInt64BE(2))
          : length;
    this.#have = 0;
    this.#close = 0;
    if (((this.#header[0] as number) & 15) === 8) {
      this.#close = 1;
      this.#closeOctets = 0;
      this.closeCode = this.#left >= 2 ? 0 : 1005;
    }
  }

  #closeOctet(octet: number): void {
    const at = this.#need - 4 + this.#closeOctets;
    const plain = this.#mask === 1 ? octet ^ (this.#header[at] as number) : octet;
    this.closeCode = this.#closeOctets === 0 ? plain << 8 : this.closeCode | plain;
    this.#closeOctets++;
  }
}

/** A Close frame from server to client with a status code (RFC 6455 §5.5.1). */
export function closeFrame(code: number): Buffer {
  const frame = Buffer.alloc(4);
  frame[0] = 0x88;
  frame[1] = 2;
  frame.writeUInt16BE(code, 2);
  return frame;
}
