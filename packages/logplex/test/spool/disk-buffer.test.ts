import { spawn } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { diskBuffer, Logplex, type LogplexOptions } from "../../src/index.ts";

let directory: string;
const open: Logplex[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "logplex-spool-"));
});
afterEach(async () => {
  for (const logplex of open.splice(0)) await logplex.close();
  rmSync(directory, { recursive: true, force: true });
});

function start(options: LogplexOptions = {}, disk = {}): Logplex {
  const logplex = new Logplex({ ...options, buffer: diskBuffer(directory, disk) });
  open.push(logplex);
  return logplex;
}
const write = (logplex: Logplex, ...texts: string[]) =>
  logplex.write({
    channel: "a",
    source: "app",
    proc: "web.1",
    lines: texts.map((text) => Buffer.from(text)),
    at: 1_773_480_413_589,
  });
async function eventually(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 5));
}
const seen = (logplex: Logplex) =>
  logplex
    .channel("a")
    .history({ limit: 10_000 })
    .map((one) => [one.seq, Buffer.from(one.body).toString()]);
const segments = () => {
  const folder = join(directory, "channels", "a");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".log"))
    .sort()
    .map((name) => join(folder, name));
};

test("history, numbering and all fields survive a restart", async () => {
  const first = start();
  await write(first, "one", "two");
  first
    .channel("a")
    .stream({ procid: "web.2", stream: "stderr" })
    .end(`${"x".repeat(9999)}éb`);
  const before = first
    .channel("a")
    .history()
    .map((one) => JSON.stringify(one));
  const { epoch } = first.channel("a");
  await first.close();
  const second = start();
  expect(second.hasChannel("a")).toBe(true);
  expect(
    second
      .channel("a")
      .history()
      .map((one) => JSON.stringify(one)),
  ).toEqual(before);
  expect(second.channel("a").epoch).toBe(epoch);
  await write(second, "three");
  expect(second.channel("a").history().at(-1)?.seq).toBe(5);
});

test("a write settles when the disk has it", async () => {
  const logplex = start();
  const promise = write(logplex, "one");
  expect(promise).toBeInstanceOf(Promise);
  await promise;
  expect(readFileSync(segments()[0]!).includes("one")).toBe(true);
});

test("kill -9 loses nothing that was written", async () => {
  const child = spawn(
    process.execPath,
    [
      "--import",
      "tsx",
      "--conditions=@dynokit/source",
      fileURLToPath(new URL("kill-child.ts", import.meta.url)),
      directory,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let output = "";
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (chunk) => {
      output += chunk;
      if (output.split("\n").length > 300) child.kill("SIGKILL");
    });
    child.on("close", () => resolve());
  });
  const acknowledged = Number(output.trimEnd().split("\n").slice(0, -1).at(-1));
  expect(acknowledged).toBeGreaterThan(200);
  const logplex = start({ retention: { lines: 1_000_000 } });
  const all = seen(logplex);
  expect(all.length).toBeGreaterThanOrEqual(acknowledged);
  expect(all).toEqual(all.map((_, index) => [index + 1, `line ${index + 1}`]));
});

describe("damage", () => {
  test("at the end, a torn record, is left behind", async () => {
    const first = start();
    await write(first, "one", "two");
    await first.close();
    appendFileSync(segments()[0]!, Buffer.from([0xd7, 0x4c, 0x50, 0x52, 200, 0, 0, 0, 1, 2, 3]));
    const second = start();
    expect(seen(second)).toEqual([
      [1, "one"],
      [2, "two"],
    ]);
    await write(second, "three");
    await second.close();
    expect(seen(start())).toEqual([
      [1, "one"],
      [2, "two"],
      [3, "three"],
    ]);
  });
  test("in the middle is skipped, counted and told as exact loss", async () => {
    const first = start();
    await write(first, "one", "two", "three", "four");
    await first.close();
    const [path] = segments() as [string];
    const octets = readFileSync(path);
    octets[octets.indexOf("two")] = 0;
    octets[octets.indexOf("three")] = 0;
    writeFileSync(path, octets);
    const second = start();
    expect(seen(second)).toEqual([
      [1, "one"],
      [4, "four"],
    ]);
    const read = second.channel("a").read(2, 10);
    expect([read.trimmed, read.messages.map((one) => one.seq)]).toEqual([2, [4]]);
    expect(second.channel("a").read(1, 10)).toMatchObject({ trimmed: 0, nextSeq: 2 });
  });
  test("of everything does not stop the start", async () => {
    const first = start();
    await write(first, "one");
    await first.close();
    writeFileSync(segments()[0]!, Buffer.alloc(5000, 0xd7));
    const second = start();
    expect(seen(second)).toEqual([]);
    await write(second, "again");
    expect(seen(second)).toHaveLength(1);
  });
});

describe("the end of the machine", () => {
  /** What a disk has after a power cut: the lock of an earlier boot and not all octets. */
  async function afterPowerCut(lose: number): Promise<string> {
    const copy = mkdtempSync(join(tmpdir(), "logplex-power-"));
    cpSync(directory, copy, { recursive: true });
    const lock = join(copy, "lock");
    writeFileSync(lock, readFileSync(lock, "utf8").replace(/ .*/, " another-boot"));
    const folder = join(copy, "channels", "a");
    const log = join(folder, readdirSync(folder).find((name) => name.endsWith(".log"))!);
    truncateSync(log, statSync(log).size - lose);
    return copy;
  }

  test("never gives a number again that somebody may have seen", async () => {
    const first = start();
    await write(first, "one", "two", "three", "four");
    const { nextSeq, epoch } = first.channel("a");
    const copy = await afterPowerCut(100);
    const second = new Logplex({ buffer: diskBuffer(copy) });
    open.push(second);
    const channel = second.channel("a");
    expect(channel.nextSeq).toBeGreaterThanOrEqual(nextSeq);
    expect(channel.epoch).toBe(epoch);
    expect(seen(second).map(([, text]) => text)).toEqual(["one", "two"]);
    const firstNew = channel.nextSeq;
    await write(second, "new");
    const read = channel.read(3, 10);
    expect([read.trimmed, read.messages.map(({ seq }) => seq)]).toEqual([firstNew - 3, [firstNew]]);
    // A tail that had seen the lost ones misses nothing and is told of the gap.
    const events = channel.tail({ after: 4, until: channel.nextSeq }).take();
    expect(events[0]).toMatchObject({ kind: "loss", lost: firstNew - 5 });
    expect(events).toHaveLength(2);
    await second.close();
    rmSync(copy, { recursive: true });
  });

  test("leaves the account of a drain exact", async () => {
    const id = "6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b";
    const drains = { policy: { allowPrivate: true, allowInsecure: true, deniedPorts: [] } };
    const first = start({ drains });
    // Nobody listens on this port of the loopback, so everything waits.
    await first.addDrain("a", "syslog://127.0.0.1:1", { id });
    await write(first, "one", "two", "three", "four");
    await eventually(() => existsSync(join(directory, "drains", `${id}.json`)));
    const copy = await afterPowerCut(100);
    const second = new Logplex({ buffer: diskBuffer(copy), drains });
    open.push(second);
    await second.addDrain("a", "syslog://127.0.0.1:1", { id });
    await write(second, "new");
    const { received, delivered, filtered, pending, lostTotal } = second.ledger(id);
    expect(received).toBe(delivered + filtered + pending + lostTotal);
    // Two of the frame that was on its way are gone; the gap behind it waits to be read.
    expect(lostTotal).toBe(2);
    for (const one of [first, second]) await one.close({ timeoutMs: 0 });
    rmSync(copy, { recursive: true });
  });

  test("that was orderly skips no number", async () => {
    const first = start();
    await write(first, "one");
    await first.close();
    const second = start();
    expect(second.channel("a").nextSeq).toBe(2);
  });
});

test("a reader that is far behind reads from disk, and exactly", async () => {
  const logplex = start({ retention: { lines: 10 } }, { segmentBytes: 4096 });
  const { channel } = { channel: logplex.channel("a") };
  const hold = channel.subscribe({ fromSeq: 1, onAppend: () => {}, lag: { messages: 20 } });
  for (let index = 1; index <= 500; index += 1) void write(logplex, `line ${index}`);
  expect(segments().length).toBeGreaterThan(3);
  let seq = 1;
  while (seq < channel.nextSeq) {
    const { messages, trimmed, nextSeq } = channel.read(seq, 7);
    expect(trimmed).toBe(0);
    for (const message of messages) {
      expect([message.seq, Buffer.from(message.body).toString()]).toEqual([seq, `line ${seq}`]);
      seq += 1;
    }
    expect(nextSeq).toBe(seq);
    hold.advance(seq);
  }
  expect(seq).toBe(501);
  hold.close();
  await write(logplex, "last");
  expect(segments().length).toBeLessThanOrEqual(2);
});

test("the size on disk has a limit, and what is gone is counted", async () => {
  const logplex = start({ retention: { lines: 10 } }, { segmentBytes: 2000, maxBytes: 6000 });
  const channel = logplex.channel("a");
  channel.subscribe({ fromSeq: 1, onAppend: () => {}, lag: { messages: 10 } });
  for (let index = 1; index <= 1000; index += 1) void write(logplex, `line ${index}`);
  const { trimmed, messages } = channel.read(1, 1);
  expect(trimmed).toBe(messages[0]!.seq - 1);
  expect(trimmed).toBeGreaterThan(800);
  await write(logplex, "last");
});

test("one process at a time", async () => {
  writeFileSync(join(directory, "lock"), "1");
  expect(() => new Logplex({ buffer: diskBuffer(directory) })).toThrow(
    /Process 1 uses this directory/,
  );
  writeFileSync(join(directory, "lock"), "999999999");
  await write(start(), "one");
});

test("a deleted channel leaves nothing", async () => {
  const logplex = start();
  await write(logplex, "one");
  expect(await logplex.deleteChannel("a")).toBe(true);
  expect(readdirSync(join(directory, "channels"))).toEqual([]);
  expect(logplex.hasChannel("a")).toBe(false);
});

test("a channel with any id has a folder", async () => {
  const first = start();
  for (const channel of ["../../etc", "a/b", "", "x-1", "ä".repeat(300)])
    await first.write({ channel, source: "app", proc: "", lines: [Buffer.from("hi")], at: 0 });
  await first.close();
  const second = start();
  expect(second.channel("../../etc").history()).toHaveLength(1);
  expect(second.channel("ä".repeat(300)).history()).toHaveLength(1);
  expect(readdirSync(join(directory, "channels"))).toHaveLength(5);
});
