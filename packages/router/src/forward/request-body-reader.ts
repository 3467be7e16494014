import { CHUNK_DATA, CHUNK_DONE, CHUNK_FAULT, ChunkDecoder } from "../codec/chunked.ts";
import type { Fault } from "../codec/faults.ts";
import type { Head } from "../codec/head.ts";
import { CHUNKED, NO_BODY } from "../codec/request.ts";
import type { Exchange } from "./exchange/exchange.ts";
import type { ReadLease } from "./shared-read.ts";

/** Tells the octets of a request's body from those of the next request. */
export class RequestBodyReader {
  /** The request is complete. */
  done = true;
  /** Fields behind a chunked body. */
  trailers: Head | null = null;
  #left = 0;
  #decoder: ChunkDecoder | null = null;

  /** Begins a body of so many octets; `CHUNKED` and `NO_BODY` as in its meaning. */
  begin(length: number): void {
    this.#left = length;
    this.done = length === NO_BODY || length === 0;
    this.trailers = null;
    this.#decoder = length === CHUNKED ? new ChunkDecoder() : null;
  }

  /**
   * Hands the body's octets to the exchange, from `position` on.
   *
   * @returns the offset behind them; what follows is the next request where the body is done.
   */
  read(exchange: Exchange, chunk: Buffer, position: number, lease: ReadLease | null): number {
    if (this.#decoder !== null)
      return this.#readChunks(this.#decoder, exchange, chunk, position, lease);
    const length = Math.min(this.#left, chunk.length - position);
    this.#left -= length;
    const end = position + length;
    exchange.requestData(
      position === 0 && end === chunk.length ? chunk : chunk.subarray(position, end),
      lease,
    );
    this.done = this.#left === 0;
    return end;
  }

  #readChunks(
    decoder: ChunkDecoder,
    exchange: Exchange,
    chunk: Buffer,
    position: number,
    lease: ReadLease | null,
  ): number {
    let at = position;
    while (!exchange.finished) {
      const event = decoder.next(chunk, at);
      at = decoder.position;
      if (event === CHUNK_DATA) {
        exchange.requestData(chunk.subarray(decoder.start, decoder.end), lease);
        continue;
      }
      if (event === CHUNK_DONE) {
        this.done = true;
        this.trailers = decoder.trailers;
        this.#decoder = null;
      } else if (event === CHUNK_FAULT) exchange.requestFault(decoder.fault as Fault);
      break;
    }
    return at;
  }
}
