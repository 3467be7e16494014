// What a dyno prints: into the segments on disk, and as raw bytes to the client that is attached.
import { LineSplitter } from "./lines.mjs";
import { SegmentWriter, TYPE_EXIT, TYPE_STDERR, TYPE_STDOUT } from "./segments.mjs";

/** Kept for the first client, so that it misses nothing of a dyno that printed before it came. */
const REPLAY_BYTES = 256 * 1024;
const BLOCKED_RETRY_MS = 50;

export class OutputLog {
  #writer;
  #block;
  #replay = [];
  #replaySize = 0;
  #client;
  #watchers = new Set();
  #sources = [];
  #timer;

  constructor(directory, { segmentBytes, segments, overflow, replay }) {
    this.#writer = new SegmentWriter(directory, {
      segmentBytes,
      // A writer that blocks deletes nothing by itself.
      segments: overflow === "block" ? Number.MAX_SAFE_INTEGER : segments,
    });
    this.#block = overflow === "block" ? { directory, segments } : undefined;
    if (!replay) this.#replay = undefined;
  }

  /** Takes what the stream gives until it ends. Returns `{ ended, stop }`. */
  follow(name, stream) {
    const type = name === "stderr" ? TYPE_STDERR : TYPE_STDOUT;
    const splitter = new LineSplitter();
    let finish;
    const ended = new Promise((done) => {
      finish = done;
    });
    const add = (bytes, partial) => this.#writer.add(type, bytes, partial, Date.now());
    stream.on("data", (chunk) => {
      splitter.push(chunk, add);
      this.#writer.flush();
      this.#wake();
      this.#pass(name, chunk);
      if (this.#block) this.#blockWhileFull();
    });
    stream.on("end", finish);
    // A terminal whose processes are gone says EIO in place of an end.
    stream.on("error", finish);
    stream.on("close", finish);
    const source = {
      stream,
      flush: () => splitter.flush(add),
    };
    this.#sources.push(source);
    return { ended, stop: () => stream.destroy() };
  }

  /** The last record: nothing can be after it. */
  end(exit) {
    clearTimeout(this.#timer);
    for (const source of this.#sources) source.flush();
    this.#writer.add(TYPE_EXIT, Buffer.from(JSON.stringify(exit)), false, exit.endedAt);
    this.close();
    this.#wake();
  }

  close() {
    clearTimeout(this.#timer);
    this.#writer.close();
  }

  /** Calls `wake` with the number of the last record once that is above `sequence`. */
  after(sequence, wake) {
    if (this.#writer.sequence > sequence) wake(this.#writer.sequence);
    else this.#watchers.add(wake);
  }

  /** Raw output goes to `send(name, bytes)`, which returns false to slow the dyno down until `resume`. */
  attach(send) {
    this.#client = send;
    for (const [name, bytes] of this.#replay ?? []) send(name, bytes);
    this.#replay = undefined;
    return () => {
      if (this.#client === send) this.#client = undefined;
      this.resume();
    };
  }

  resume() {
    for (const { stream } of this.#sources) stream.resume();
  }

  #pass(name, chunk) {
    if (this.#client) {
      if (this.#client(name, chunk) === false)
        for (const { stream } of this.#sources) stream.pause();
    } else if (this.#replay) {
      this.#replay.push([name, chunk]);
      this.#replaySize += chunk.length;
      while (this.#replaySize > REPLAY_BYTES) this.#replaySize -= this.#replay.shift()[1].length;
    }
  }

  #wake() {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const wake of watchers) wake(this.#writer.sequence);
  }

  #blockWhileFull() {
    if (this.#timer || !this.#writer.isFull(this.#block.segments)) return;
    for (const { stream } of this.#sources) stream.pause();
    this.#timer = setInterval(() => {
      if (this.#writer.isFull(this.#block.segments)) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.resume();
    }, BLOCKED_RETRY_MS);
  }
}
