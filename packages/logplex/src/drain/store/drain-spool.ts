import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { StoredMessage } from "../../message.ts";
import { encodeRecord, readRecord } from "../../spool/record.ts";

/** Where and how much drains may keep on disk (spec/logplex.md §12.6). */
export interface SpoolOptions {
  readonly directory: string;
  /** Per drain; default 64 MiB. Beyond it the oldest segment is lost. */
  readonly maxBytes?: number;
  /** Default 8 MiB. */
  readonly segmentBytes?: number;
}

/** Messages given up to make room, both inclusive. */
export interface SpoolDrop {
  readonly fromSeq: number;
  readonly toSeq: number;
}

interface Segment {
  readonly path: string;
  readonly firstSeq: number;
  lastSeq: number;
  bytes: number;
}

/**
 * The messages of one slow drain on disk: append-only segments with a CRC per record. A damaged
 * record is skipped, which shows as a gap in the numbers; opening never fails because of one.
 */
export class DrainSpool {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #segmentBytes: number;
  readonly #segments: Segment[] = [];
  #fd: number | undefined;
  #cache: { readonly segment: Segment; readonly data: Buffer; at: number } | undefined;

  constructor(drain: string, options: SpoolOptions) {
    this.#directory = join(options.directory, drain);
    this.#maxBytes = options.maxBytes ?? 64 * 1024 * 1024;
    this.#segmentBytes = options.segmentBytes ?? 8 * 1024 * 1024;
    let names: string[] = [];
    try {
      names = readdirSync(this.#directory);
    } catch {
      // There is nothing from before.
    }
    for (const name of names.filter((one) => /^\d{16}\.log$/.test(one)).sort()) {
      const segment = scan(join(this.#directory, name), Number(name.slice(0, 16)));
      if (segment) this.#segments.push(segment);
    }
  }

  /** Whether anything is kept. */
  get isEmpty(): boolean {
    return this.#segments.length === 0;
  }

  /** The number after the newest message that is kept. */
  get endSeq(): number {
    return (this.#segments.at(-1)?.lastSeq ?? -1) + 1;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /**
   * Keeps messages, giving up the oldest segments when there is no room. Throws the error of the
   * system when even that does not help; nothing of the call is kept then.
   */
  append(messages: readonly StoredMessage[]): SpoolDrop[] {
    const first = messages[0];
    const last = messages.at(-1);
    if (!first || !last) return [];
    const bytes = Buffer.concat(messages.map(encodeRecord));
    const dropped: SpoolDrop[] = [];
    while (this.bytes + bytes.length > this.#maxBytes && this.#segments.length > 1) {
      dropped.push(this.#drop());
    }
    for (;;) {
      try {
        this.#write(first.seq, last.seq, bytes);
        return dropped;
      } catch (error) {
        if (this.#segments.length < 2) throw error;
        dropped.push(this.#drop());
      }
    }
  }

  /** Messages from `seq` on, at least one if there is any. */
  read(seq: number, maxMessages: number, maxBytes: number): StoredMessage[] {
    const found: StoredMessage[] = [];
    let bytes = 0;
    for (const segment of this.#segments) {
      if (segment.lastSeq < seq) continue;
      const data = this.#load(segment);
      let at = this.#cache?.segment === segment ? this.#cache.at : 0;
      for (
        let record = readRecord(data, at);
        record.kind !== "end";
        record = readRecord(data, at)
      ) {
        at = record.next;
        if (record.kind === "damage") continue;
        if (record.message.seq < seq) {
          if (this.#cache?.segment === segment) this.#cache.at = at;
          continue;
        }
        bytes += record.message.body.length;
        if (found.length >= maxMessages || (bytes > maxBytes && found.length > 0)) return found;
        found.push(record.message);
      }
    }
    return found;
  }

  /** Frees what lies before `seq`. */
  advance(seq: number): void {
    while (this.#segments[0] && this.#segments[0].lastSeq < seq) this.#drop();
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#cache = undefined;
  }

  /** Deletes everything. */
  remove(): void {
    this.close();
    this.#segments.length = 0;
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #drop(): SpoolDrop {
    const segment = this.#segments.shift() as Segment;
    if (this.#segments.length === 0) this.close();
    if (this.#cache?.segment === segment) this.#cache = undefined;
    try {
      unlinkSync(segment.path);
    } catch {
      // Somebody else removed it: the room is free either way.
    }
    return { fromSeq: segment.firstSeq, toSeq: segment.lastSeq };
  }

  #write(firstSeq: number, lastSeq: number, bytes: Buffer): void {
    let segment = this.#segments.at(-1);
    if (!segment || this.#fd === undefined || segment.bytes >= this.#segmentBytes) {
      this.close();
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      const path = join(this.#directory, `${String(firstSeq).padStart(16, "0")}.log`);
      this.#fd = openSync(path, "w", 0o600);
      segment = { path, firstSeq, lastSeq: firstSeq - 1, bytes: 0 };
      this.#segments.push(segment);
    }
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
    } catch (error) {
      // The torn record at the end is skipped by its CRC; what follows goes into a new segment.
      this.close();
      if (segment.lastSeq < segment.firstSeq) this.#segments.pop();
      throw error;
    }
    segment.lastSeq = lastSeq;
    segment.bytes += bytes.length;
  }

  #load(segment: Segment): Buffer {
    if (this.#cache?.segment !== segment || this.#cache.data.length < segment.bytes) {
      let data = Buffer.alloc(0);
      try {
        data = readFileSync(segment.path);
      } catch {
        // An unreadable segment is a gap like any other damage.
      }
      const at = this.#cache?.segment === segment ? this.#cache.at : 0;
      this.#cache = { segment, data, at };
    }
    return this.#cache.data;
  }
}

function scan(path: string, firstSeq: number): Segment | undefined {
  let data: Buffer;
  try {
    data = readFileSync(path);
  } catch {
    // Unreadable: its messages show as a gap.
    return undefined;
  }
  let lastSeq = firstSeq - 1;
  let at = 0;
  for (let record = readRecord(data, at); record.kind !== "end"; record = readRecord(data, at)) {
    if (record.kind === "record") lastSeq = record.message.seq;
    at = record.next;
  }
  return lastSeq < firstSeq ? undefined : { path, firstSeq, lastSeq, bytes: data.length };
}
