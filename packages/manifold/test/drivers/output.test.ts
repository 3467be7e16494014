import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import {
  type DynoDriver,
  LineSplitter,
  type LogBlock,
  type LogChunk,
  type LogLines,
  type LogSink,
  Manifold,
  processDriver,
} from "@dynokit/manifold";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { OutputLog } from "../../shim/output.mjs";
import { RECORD_HEADER } from "../../shim/record.mjs";
import { AckFile } from "../../src/drivers/process/ack-file.ts";
import { type ReadOptions, readLog } from "../../src/drivers/process/log-reader.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dynokit-output-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const over = { wait: () => Promise.resolve(), over: true };
const exit = { exitCode: 0, endedAt: 1 };
type Line = readonly [stream: string, bytes: string, partial: boolean];

interface Batch {
  readonly lines: readonly Line[];
  readonly cursor: string;
}

const linesOf = ({ bytes, starts, ends, count }: LogLines | LogBlock): Buffer[] =>
  Array.from({ length: count }, (_, at) => Buffer.from(bytes.subarray(starts[at], ends[at])));

const toBatch = (batch: LogLines): Batch => ({
  lines: linesOf(batch).map((bytes, at) => [
    batch.stream,
    bytes.toString("latin1"),
    batch.partial && at === batch.count - 1,
  ]),
  cursor: batch.cursor,
});

const toLines = ({ lines }: Batch) => lines;

async function read(place: string, options: ReadOptions = {}): Promise<Batch[]> {
  const ack = new AckFile(place);
  const batches: Batch[] = [];
  for await (const batch of readLog(place, ack, over, options)) batches.push(toBatch(batch));
  ack.close();
  return batches;
}

/** Writes pieces of output as they come, then the end. */
async function write(
  place: string,
  pieces: readonly { readonly name: "stdout" | "stderr"; readonly bytes: Uint8Array }[],
  options: { readonly segmentBytes: number; readonly segments: number },
  isRead = false,
): Promise<void> {
  const log = new OutputLog(place, options, () => isRead);
  const streams = { stdout: new PassThrough(), stderr: new PassThrough() };
  const ended = (["stdout", "stderr"] as const).map(
    (name) => log.follow(name, streams[name]).ended,
  );
  for (const { name, bytes } of pieces) {
    streams[name].write(bytes);
    // Read before the next one comes, or the two streams would mix.
    await new Promise((done) => setImmediate(done));
  }
  log.takeRest();
  streams.stdout.end();
  streams.stderr.end();
  await Promise.all(ended);
  log.end(exit);
}

const piece = fc.record({
  name: fc.constantFrom("stdout" as const, "stderr" as const),
  bytes: fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.stringMatching(/^[aé€\n\r]{0,40}$/).map((text) => Buffer.from(text)),
    fc.nat(90_000).map((length) => Buffer.alloc(length, "€")),
  ),
});

describe("the output of a dyno on disk", () => {
  test("comes out as the line splitter cuts it, in batches of any size, from any cursor", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 12 }),
        fc.integer({ min: 100, max: 200_000 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(),
        async (pieces, segmentBytes, maxLines, choice) => {
          const place = mkdtempSync(join(directory, "run-"));
          await write(place, pieces, { segmentBytes, segments: 1_000_000 });
          for (const name of ["stdout", "stderr"]) {
            const splitter = new LineSplitter();
            const wanted: Line[] = [];
            const add = (bytes: Uint8Array, partial: boolean) =>
              wanted.push([name, Buffer.from(bytes).toString("latin1"), partial]);
            for (const one of pieces) if (one.name === name) splitter.push(one.bytes, add);
            splitter.flush(add);
            const lines = (await read(place)).flatMap(toLines).filter(([from]) => from === name);
            expect(lines).toEqual(wanted);
          }
          const all = (await read(place)).flatMap(toLines);
          const batches = await read(place, { maxLines });
          expect(batches.flatMap(toLines)).toEqual(all);
          expect(batches.every(({ lines }) => lines.length <= maxLines)).toBe(true);
          if (batches.length === 0) return;
          const at = choice % batches.length;
          const since = (batches[at] as Batch).cursor;
          expect((await read(place, { since })).flatMap(toLines)).toEqual(
            batches.slice(at + 1).flatMap(toLines),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test("what nobody read in time is counted exactly, wherever the reader was", async () => {
    const line = (number: number) => ({
      name: "stdout" as const,
      bytes: Buffer.from(`${number}\n`.padStart(100)),
    });
    await write(
      directory,
      Array.from({ length: 100 }, (_, number) => line(number)),
      { segmentBytes: 1_000, segments: 3 },
    );
    expect(readdirSync(directory).length).toBeLessThanOrEqual(4);
    const batches = await read(directory);
    const [notice, ...rest] = batches.flatMap(toLines).map(([, text]) => text.trim());
    const lost = Number(/^(\d+) lines were lost/.exec(notice ?? "")?.[1]);
    expect(rest.map(Number)).toEqual(Array.from({ length: 100 - lost }, (_, at) => at + lost));
    expect(lost).toBeGreaterThan(0);
  });

  /** A record that says it is complete, as a dyno might print one. */
  const forged = () => {
    const record = Buffer.alloc(1_000);
    for (let at = 0; at + RECORD_HEADER < record.length; at += RECORD_HEADER + 6) {
      record[at] = 1;
      record.writeUInt32LE(6, at + 4);
      record.write("forged", at + RECORD_HEADER);
    }
    return record;
  };

  test("what a dyno printed before is never taken for output when its file is used again", async () => {
    const log = new OutputLog(directory, { segmentBytes: 3_000, segments: 8 }, () => true);
    const stdout = new PassThrough();
    const { ended } = log.follow("stdout", stdout);
    const ack = new AckFile(directory);
    const print = async (bytes: Uint8Array) => {
      stdout.write(bytes);
      await new Promise((done) => setImmediate(done));
    };
    let seen = 0;
    const take = async () => {
      for await (const batch of readLog(directory, ack, over)) {
        for (const line of linesOf(batch)) {
          expect([String(seen), forged().toString("latin1")]).toContain(line.toString("latin1"));
          if (line.toString() === String(seen)) seen++;
        }
        ack.write(batch.cursor);
      }
    };
    for (let round = 0; round < 60; round++) {
      await print(Buffer.concat([forged(), Buffer.from(`\n${round}\n`)]));
      if (round % 4 === 3) await take();
    }
    expect(readdirSync(directory).filter((name) => name.startsWith("spare."))).not.toEqual([]);
    stdout.end();
    await ended;
    log.end(exit);
    await take();
    expect(seen).toBe(60);
    ack.close();
  });

  test("a reader whose segment is used again meanwhile goes on with what nobody acknowledged", async () => {
    const log = new OutputLog(directory, { segmentBytes: 2_000, segments: 8 }, () => true);
    const stdout = new PassThrough();
    const { ended } = log.follow("stdout", stdout);
    const print = async (from: number, to: number) => {
      for (let line = from; line < to; line++) {
        stdout.write(`${line}\n`.padStart(100));
        await new Promise((done) => setImmediate(done));
      }
    };
    await print(0, 100);
    const [ack, other] = [new AckFile(directory), new AckFile(directory)];
    const late = readLog(directory, other, over, { maxLines: 1 });
    const first = (await late.next()).value as LogLines;
    expect(String(linesOf(first)[0]).trim()).toBe("0");
    let acknowledged = 0;
    for await (const batch of readLog(directory, ack, over)) {
      acknowledged += batch.count;
      ack.write(batch.cursor);
    }
    expect(acknowledged).toBe(100);
    await print(100, 200);
    stdout.end();
    await ended;
    log.end(exit);
    const lines: number[] = [];
    for await (const batch of late) lines.push(...linesOf(batch).map(Number));
    expect(lines).toEqual([...lines].sort((left, right) => left - right));
    expect(lines.filter((line) => line >= 100)).toEqual(
      Array.from({ length: 100 }, (_, at) => at + 100),
    );
    ack.close();
    other.close();
  });

  test("a cursor of something else is refused", async () => {
    await expect(read(directory, { since: "1:2" })).rejects.toMatchObject({
      code: "invalid-spec",
    });
  });
});

describe("a dyno that prints more than is kept", () => {
  let driver: DynoDriver;

  beforeEach(() => {
    driver = processDriver({
      stateDirectory: directory,
      logs: { segmentBytes: 65_536, segments: 2 },
    });
  });

  afterEach(async () => {
    await driver.destroy("dyno", { force: true });
    await driver.close();
  });

  const start = (command: string) =>
    driver.start({
      id: "dyno",
      command,
      env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
      cwd: "/",
      labels: { app: "app", dyno: "worker.1", type: "worker", release: "r", releaseVersion: "1" },
    });

  test("waits for a reader that reads, who loses nothing", async () => {
    await start("seq 1 400000");
    let next = 1;
    let wrong = 0;
    const seen: LogChunk["stream"][] = [];
    for await (const batch of driver.logLines?.("dyno") ?? []) {
      if (batch.stream !== "stdout") seen.push(batch.stream);
      // Slower than the dyno.
      await new Promise((done) => setImmediate(done));
      for (const line of linesOf(batch)) if (line.toString() !== String(next++)) wrong++;
      driver.acknowledge?.("dyno", batch.cursor);
    }
    expect(seen).toEqual([]);
    expect(wrong).toBe(0);
    expect(next).toBe(400_001);
  });

  test("does not wait for one that is there and reads nothing", async () => {
    await start("seq 1 400000; exit 3");
    expect(await driver.wait("dyno")).toMatchObject({ exitCode: 3 });
    let count = 0;
    let lost = 0;
    for await (const batch of driver.logLines?.("dyno") ?? []) {
      if (batch.stream === "stdout") count += batch.count;
      else lost += Number(/^\d+/.exec(String(linesOf(batch)[0]))?.[0]);
    }
    expect(count + lost).toBe(400_000);
    expect(lost).toBeGreaterThan(0);
  });
});

describe.each(["write", "writeBlock"] as const)("a sink with %s", (kind) => {
  test("that is slow slows the dyno down, and every line comes to it once", async () => {
    const told: string[] = [];
    let count = 0;
    let wrong = 0;
    let under = 0;
    let all: () => void = () => {};
    const done = new Promise<void>((resolve) => {
      all = resolve;
    });
    const take = async (source: string, lines: () => readonly Uint8Array[]) => {
      if (source !== "app") {
        told.push(...lines().map((line) => Buffer.from(line).toString()));
        return;
      }
      if (++under !== 1) wrong++;
      await new Promise((resolve) => setImmediate(resolve));
      under--;
      for (const line of lines()) if (Buffer.from(line).toString() !== String(++count)) wrong++;
      if (count === 200_000) all();
    };
    const write: LogSink["write"] = ({ source, lines }) => take(source, () => lines);
    const manifold = new Manifold({
      driver: processDriver({
        stateDirectory: directory,
        logs: { segmentBytes: 65_536, segments: 2 },
      }),
      logs:
        kind === "write"
          ? { write }
          : {
              write: (batch) => {
                if (batch.source === "app") wrong++;
                return write(batch);
              },
              writeBlock: (block) => take(block.source, () => linesOf(block)),
            },
    });
    await manifold.apply({
      app: "app",
      release: { id: "r", version: 1 },
      env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
      cwd: "/",
      processes: { worker: { command: "seq 1 200000; exec sleep 1000", quantity: 1 } },
    });
    await done;
    expect(wrong).toBe(0);
    expect(told.filter((line) => line.includes("lost"))).toEqual([]);
    await manifold.close();
  });
});
