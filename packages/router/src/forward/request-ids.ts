import { randomFillSync } from "node:crypto";

const OCTETS = 16;
const POOL = OCTETS * 512;
const DASHES = [8, 13, 18, 23];
const HEX = Buffer.from("0123456789abcdef");

/**
 * Random UUIDs (version 4) as flat strings. Those of `crypto.randomUUID` are joined of twenty
 * pieces, which have to be joined again for the app and for the log.
 */
export class RequestIds {
  readonly #random = Buffer.alloc(POOL);
  readonly #text = Buffer.alloc(36);
  #next = POOL;

  constructor() {
    for (const at of DASHES) this.#text[at] = 45;
  }

  next(): string {
    if (this.#next === POOL) {
      randomFillSync(this.#random);
      this.#next = 0;
    }
    const text = this.#text;
    let at = 0;
    for (let i = 0; i < OCTETS; i++) {
      let octet = this.#random[this.#next++] as number;
      if (i === 6) octet = (octet & 0x0f) | 0x40;
      else if (i === 8) octet = (octet & 0x3f) | 0x80;
      if (i === 4 || i === 6 || i === 8 || i === 10) at++;
      text[at++] = HEX[octet >> 4] as number;
      text[at++] = HEX[octet & 15] as number;
    }
    return text.toString("latin1");
  }
}
