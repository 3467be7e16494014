import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import {
  type DynoDriver,
  LineSplitter,
  type LogChunk,
  type LogLines,
  Manifold,
  processDriver,
} from "@dynokit/manifold";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { OutputLog } from "../../shim/output.mjs";
import { AckFile, type ReadOptions, readLog } from "../../src/drivers/process/log-reader.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dynokit-output-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const over = { wait: () => Promise.resolve(), over: true };
const exit = { exitCode: 0, endedAt: 1 };
type Line = readonly [stream: string, bytes: string, partial: boolean];

const toLines = ({ stream, lines, partial }: LogLines): Line[] =>
  lines.map((bytes, at) => [
    stream,
    Buffer.from(bytes).toString("latin1"),
    partial && at === lines.length - 1,
  ]);

async function read(place: string, options: ReadOptions = {}): Promise<LogLines[]> {
  const ack = new AckFile(place);
  const batches: LogLines[] = [];
  for await (const batch of readLog(place, ack, over, options)) batches.push(batch);
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
          const since = (batches[at] as LogLines).cursor;
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
    for await (const { stream, lines, cursor } of driver.logLines?.("dyno") ?? []) {
      if (stream !== "stdout") seen.push(stream);
      for (const bytes of lines) if (Buffer.from(bytes).toString() !== String(next++)) wrong++;
      // Slower than the dyno.
      await new Promise((done) => setImmediate(done));
      driver.acknowledge?.("dyno", cursor);
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
    for await (const { stream, lines } of driver.logLines?.("dyno") ?? []) {
      if (stream === "stdout") count += lines.length;
      else lost += Number(/^\d+/.exec(Buffer.from(lines[0] as Uint8Array).toString())?.[0]);
    }
    expect(count + lost).toBe(400_000);
    expect(lost).toBeGreaterThan(0);
  });
});

test("a sink that is slow slows the dyno down, and every line comes to it once", async () => {
  const told: string[] = [];
  let count = 0;
  let wrong = 0;
  let under = 0;
  let all: () => void = () => {};
  const done = new Promise<void>((resolve) => {
    all = resolve;
  });
  const manifold = new Manifold({
    driver: processDriver({
      stateDirectory: directory,
      logs: { segmentBytes: 65_536, segments: 2 },
    }),
    logs: {
      async write(batch) {
        if (batch.source !== "app") {
          told.push(...batch.lines.map((line) => Buffer.from(line).toString()));
          return;
        }
        if (++under !== 1) wrong++;
        await new Promise((resolve) => setImmediate(resolve));
        under--;
        for (const line of batch.lines)
          if (Buffer.from(line).toString() !== String(++count)) wrong++;
        if (count === 200_000) all();
      },
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
