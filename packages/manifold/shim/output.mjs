// What a dyno prints: into the segments on disk, and as raw bytes to the client that is attached.
import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import { BlockSplitter, countLines, HEADROOM_BYTES } from "./blocks.mjs";
import { RECORD_HEADER, TYPE_EXIT, TYPE_STDERR, TYPE_STDOUT } from "./record.mjs";
import { SegmentWriter } from "./segments.mjs";

/** Kept for the first client, so that it misses nothing of a dyno that printed before it came. */
const REPLAY_BYTES = 256 * 1024;
const BLOCKED_RETRY_MS = 5;
/** ms that a dyno waits for a reader that is there and acknowledges nothing. */
const PATIENCE_MS = 1_000;
/** ms between two words to a reader: one that has much to read need not be told of each piece. */
const WAKE_INTERVAL_MS = 4;

// What a pipe holds.
const READ_BYTES = 65_536;
const FRESH = RECORD_HEADER + HEADROOM_BYTES;
/** One for all streams of all dynos: what is read is written away before anything else is read. */
let area;

export class OutputLog {
  #directory;
  #writer;
  #segments;
  #blocks;
  #isRead;
  #replay = [];
  #replaySize = 0;
  #client;
  #watchers = new Set();
  #sources = [];
  #timer;
  #wakeTimer;
  #wokenAt = 0;
  #ending = false;
  /** What the reader had acknowledged when it was given up; undefined while there is hope. */
  #givenUp;

  /** `isRead` tells whether a reader may be there: then a full log makes the dyno wait, for a while at least. */
  constructor(directory, { segmentBytes, segments, overflow, replay }, isRead) {
    this.#directory = directory;
    this.#writer = new SegmentWriter(directory, { segmentBytes });
    this.#segments = segments;
    this.#blocks = overflow === "block";
    this.#isRead = isRead;
    if (!replay) this.#replay = undefined;
  }

  /** Takes what comes out of a pipe (its descriptor) or a terminal (its stream). Returns `{ ended, stop }`. */
  follow(name, source) {
    // One more, for what a record has after it.
    area ??= Buffer.allocUnsafeSlow(FRESH + READ_BYTES + 1);
    const type = name === "stderr" ? TYPE_STDERR : TYPE_STDOUT;
    const splitter = new BlockSplitter();
    const add = (bytes, from, to, partial) => this.#add(type, bytes, from, to, partial);
    const take = (length) => {
      // First, for the splitter may change what lies before it but not what it is.
      this.#pass(name, area, length);
      splitter.push(area, FRESH, FRESH + length, add);
      this.#wake();
      return true;
    };
    const stream =
      typeof source === "number"
        ? new Socket({
            fd: source,
            readable: true,
            writable: false,
            onread: { buffer: area.subarray(FRESH, FRESH + READ_BYTES), callback: take },
          })
        : source;
    if (stream === source)
      stream.on("data", (chunk) => {
        for (let at = 0; at < chunk.length; at += READ_BYTES)
          take(chunk.copy(area, FRESH, at, Math.min(at + READ_BYTES, chunk.length)));
      });
    let finish;
    const ended = new Promise((done) => {
      finish = done;
    });
    stream.on("end", finish);
    // A terminal whose processes are gone says EIO in place of an end.
    stream.on("error", finish);
    stream.on("close", finish);
    this.#sources.push({ stream, flush: () => splitter.flush(add) });
    return { ended, stop: () => stream.destroy() };
  }

  /** The dyno has ended: what is in its pipes is taken, be the log full or not. */
  takeRest() {
    this.#ending = true;
    this.#goOn();
  }

  /** The last record: nothing can be after it. */
  end(exit) {
    clearTimeout(this.#timer);
    for (const source of this.#sources) source.flush();
    const bytes = Buffer.from(JSON.stringify(exit));
    this.#write(TYPE_EXIT, bytes, 0, bytes.length, false, exit.endedAt);
    this.close();
    this.#tell();
  }

  close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#wakeTimer);
    this.#writer.close();
  }

  /** Calls `wake` with the number of bytes that are written once that is above `written`. */
  after(written, wake) {
    this.#watchers.add(wake);
    if (this.#writer.written > written) this.#wake();
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
    if (this.#timer) return;
    for (const { stream } of this.#sources) stream.resume();
  }

  #pause() {
    for (const { stream } of this.#sources) stream.pause();
  }

  #pass(name, bytes, length) {
    if (!this.#client && !this.#replay) return;
    const chunk = Buffer.from(bytes.subarray(FRESH, FRESH + length));
    if (this.#client) {
      if (this.#client(name, chunk) === false) this.#pause();
      return;
    }
    this.#replay.push([name, chunk]);
    this.#replaySize += chunk.length;
    while (this.#replaySize > REPLAY_BYTES) this.#replaySize -= this.#replay.shift()[1].length;
  }

  #add(type, bytes, from, to, partial) {
    const { segment } = this.#writer;
    this.#write(type, bytes, from, to, partial, Date.now());
    if (this.#writer.segment !== segment) this.#makeRoom();
  }

  #write(type, bytes, from, to, partial, time) {
    if (bytes === area) {
      this.#writer.add(type, bytes, from, to, partial, time, countLines);
      return;
    }
    // The rest of a line, kept elsewhere.
    const end = RECORD_HEADER + to - from;
    const whole = Buffer.allocUnsafe(end + 1);
    whole.set(bytes.subarray(from, to), RECORD_HEADER);
    this.#writer.add(type, whole, RECORD_HEADER, end, partial, time, countLines);
  }

  #wake() {
    if (this.#watchers.size === 0 || this.#wakeTimer) return;
    const rest = this.#wokenAt + WAKE_INTERVAL_MS - performance.now();
    if (rest <= 0) this.#tell();
    else this.#wakeTimer = setTimeout(() => this.#tell(), rest);
  }

  #tell() {
    clearTimeout(this.#wakeTimer);
    this.#wakeTimer = undefined;
    this.#wokenAt = performance.now();
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const wake of watchers) wake(this.#writer.written);
  }

  /** A segment is full. The dyno waits for a reader; for one that does not read only where it is told to. */
  #makeRoom() {
    if (this.#timer) return;
    if (!this.#writer.holds(this.#segments)) return;
    if (!this.#blocks && !this.#isAwaited()) {
      this.#writer.keepNewest(this.#segments);
      return;
    }
    if (this.#ending) return;
    this.#pause();
    let acknowledged = this.#acknowledged();
    let since = performance.now();
    this.#timer = setInterval(() => {
      if (this.#writer.holds(this.#segments)) {
        if (this.#blocks || performance.now() - since < PATIENCE_MS) return;
        const before = acknowledged;
        acknowledged = this.#acknowledged();
        since = performance.now();
        if (acknowledged !== before) return;
        this.#givenUp = acknowledged;
      }
      this.#goOn();
    }, BLOCKED_RETRY_MS);
  }

  #goOn() {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.resume();
  }

  /** Whether the one who reads can be expected to go on. */
  #isAwaited() {
    if (!this.#isRead()) return false;
    if (this.#givenUp === undefined) return true;
    if (this.#acknowledged() === this.#givenUp) return false;
    this.#givenUp = undefined;
    return true;
  }

  #acknowledged() {
    try {
      return readFileSync(`${this.#directory}/ack`, "latin1");
    } catch {
      return "";
    }
  }
}
