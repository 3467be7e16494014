/** Incremental decoder of the chunked coding (R9112 §7.1, spec/router.md §5); no I/O. */

import { FAULTS, type Fault } from "./faults.ts";
import { Head } from "./head.ts";
import type { HeadLimits } from "./head-limits.ts";
import { NEED_MORE, REFUSED } from "./head-verdicts.ts";
import { VALUE } from "./octets.ts";

/** More octets are needed; everything given was used. */
export const CHUNK_MORE = 0;
/** `[start, end)` of the buffer is body data. */
export const CHUNK_DATA = 1;
/** The message is complete, trailers included. */
export const CHUNK_DONE = 2;
/** A rule is broken; see {@link ChunkDecoder.fault}. */
export const CHUNK_FAULT = 3;

const TRAILER_LIMITS: HeadLimits = Object.freeze({
  startLineBytes: 8192,
  fieldLineBytes: 8192,
  fieldNameBytes: 1000,
  cookieLineBytes: 8192,
  fields: 64,
  headBytes: 16_384,
});
const MAX_DIGITS = 16;
const MAX_EXTENSION = 1024;
const MAX_EXTENSIONS = 16_384;

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILER = 6;
const END = 7;

const HEX = new Int8Array(256).fill(-1);
for (let i = 0; i < 10; i++) HEX[48 + i] = i;
for (let i = 0; i < 6; i++) {
  HEX[65 + i] = 10 + i;
  HEX[97 + i] = 10 + i;
}

/**
 * Finds the body data in chunked octets.
 *
 * Call {@link next} until it returns {@link CHUNK_MORE}; `position` says where the next call
 * begins. Any division of the octets gives the same data and the same faults.
 */
export class ChunkDecoder {
  start = 0;
  end = 0;
  position = 0;
  fault: Fault | null = null;
  /** Trailer fields; complete after {@link CHUNK_DONE}. */
  trailers: Head | null = null;
  #state = SIZE;
  #size = 0;
  #digits = 0;
  #extension = 0;
  #extensions = 0;

  #refuse(fault: Fault): number {
    this.fault = fault;
    return CHUNK_FAULT;
  }

  /** Decodes from `position` to the end of the buffer or the next event. */
  next(buffer: Buffer, position: number): number {
    const end = buffer.length;
    let i = position;
    while (i < end) {
      const octet = buffer[i] as number;
      switch (this.#state) {
        case SIZE: {
          const digit = HEX[octet] as number;
          if (digit >= 0) {
            if (++this.#digits > MAX_DIGITS) return this.#refuse(FAULTS.chunkSize);
            this.#size = this.#size * 16 + digit;
            if (this.#size > Number.MAX_SAFE_INTEGER) return this.#refuse(FAULTS.chunkSize);
          } else if (this.#digits === 0) return this.#refuse(FAULTS.chunkSize);
          else if (octet === 13) this.#state = SIZE_LF;
          else if (octet === 59) {
            this.#state = EXTENSION;
            this.#extension = 0;
          } else return this.#refuse(FAULTS.chunkSize);
          i++;
          break;
        }
        case EXTENSION:
          if (octet === 13) this.#state = SIZE_LF;
          else if (VALUE[octet] === 0) return this.#refuse(FAULTS.chunkExtension);
          else if (++this.#extension > MAX_EXTENSION || ++this.#extensions > MAX_EXTENSIONS)
            return this.#refuse(FAULTS.chunkExtension);
          i++;
          break;
        case SIZE_LF:
          if (octet !== 10) return this.#refuse(FAULTS.chunkSize);
          i++;
          if (this.#size === 0) {
            this.#state = TRAILER;
            this.trailers = new Head();
            this.trailers.reset("trailers", TRAILER_LIMITS, {});
          } else this.#state = DATA;
          break;
        case DATA: {
          const length = Math.min(this.#size, end - i);
          this.start = i;
          this.end = i + length;
          this.position = this.end;
          this.#size -= length;
          if (this.#size === 0) this.#state = DATA_CR;
          return CHUNK_DATA;
        }
        case DATA_CR:
          if (octet !== 13) return this.#refuse(FAULTS.chunkEnd);
          this.#state = DATA_LF;
          i++;
          break;
        case DATA_LF:
          if (octet !== 10) return this.#refuse(FAULTS.chunkEnd);
          this.#state = SIZE;
          this.#digits = 0;
          i++;
          break;
        case TRAILER: {
          const trailers = this.trailers as Head;
          const result = trailers.execute(buffer, i);
          if (result === REFUSED) return this.#refuse(FAULTS.trailer);
          if (result === NEED_MORE) {
            this.position = end;
            return CHUNK_MORE;
          }
          this.position = result;
          this.#state = END;
          return CHUNK_DONE;
        }
        default:
          this.position = i;
          return CHUNK_DONE;
      }
    }
    this.position = i;
    return CHUNK_MORE;
  }
}
