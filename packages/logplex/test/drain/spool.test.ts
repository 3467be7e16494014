import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fileDrainStore } from "../../src/drain/index.ts";
import { DRAIN_BUFFER } from "../../src/drain/intake.ts";
import { DrainSpool } from "../../src/drain/store/drain-spool.ts";
import { message } from "../query/messages.ts";
import { type Receiver, startReceiver, until } from "./receiver.ts";
import { advanceUntil, expectBalanced, setup } from "./setup.ts";

const ID = "0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60";
const TOKEN = `d.${ID}`;

let receiver: Receiver;
let directory: string;

beforeEach(async () => {
  receiver = await startReceiver();
  directory = await mkdtemp(join(tmpdir(), "dynokit-spool-"));
});

afterEach(async () => {
  await receiver.close();
  await rm(directory, { recursive: true, force: true });
});

const url = () => `http://127.0.0.1:${receiver.port}/`;
const half = DRAIN_BUFFER.messages / 2;

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}`);
}

describe("a drain with onFull: spool", () => {
  it("moves to disk what a slow receiver leaves and delivers everything in order", async () => {
    const one = setup({ spool: { directory }, capacity: DRAIN_BUFFER.messages });
    receiver.script(() => undefined, 200);
    const { id } = await one.drains.add("app", url(), { onFull: "spool" });
    one.source.append("first");
    await until(() => receiver.requests.length === 1);
    for (let block = 0; block < 10; block++) {
      one.source.append(...numbered(block * half + 1, (block + 1) * half));
      expectBalanced(one.drains.ledger(id));
    }
    expect(one.drains.ledger(id)).toMatchObject({ pending: 10 * half + 1, lostTotal: 0 });
    expect(one.drains.health(id).lag.bytes).toBeGreaterThan(0);
    expect(await readdir(join(directory, id))).not.toEqual([]);
    await advanceUntil(one, () => one.drains.ledger(id).pending === 0, 1000);
    expect(one.drains.ledger(id)).toMatchObject({ delivered: 10 * half + 1, lostTotal: 0 });
    expect(receiver.lines()).toEqual(["first", ...numbered(1, 10 * half)]);
    expect(await readdir(directory)).toEqual([]);
    await one.drains.close({ timeoutMs: 0 });
  }, 60_000);

  it("carries on in the next process", async () => {
    const store = fileDrainStore(directory);
    const spool = { directory: join(directory, "spool") };
    const one = setup({ spool, store, capacity: DRAIN_BUFFER.messages });
    receiver.script(503);
    await one.drains.add("app", url(), { onFull: "spool", id: ID, token: TOKEN });
    for (let block = 0; block < 4; block++) {
      one.source.append(...numbered(block * half + 1, (block + 1) * half));
    }
    await until(() => one.drains.health(ID).failures > 0);
    const [before] = await one.drains.close({ timeoutMs: 0 });
    expect(before).toMatchObject({ received: 4 * half, pending: 4 * half });

    receiver.script(200);
    const two = setup({ spool, store, capacity: 10 * half });
    two.source.append(...numbered(1, 4 * half));
    await two.drains.add("app", url(), { onFull: "spool", id: ID, token: TOKEN });
    two.source.append("last");
    await advanceUntil(two, () => two.drains.ledger(ID).pending === 0, 100);
    expect(two.drains.ledger(ID)).toMatchObject({
      received: 4 * half + 1,
      delivered: 4 * half + 1,
    });
    expect(receiver.lines()).toEqual([...numbered(1, 4 * half), "last"]);
    await two.drains.remove(ID);
  }, 60_000);

  it("gives the oldest up when its limit is reached", async () => {
    const one = setup({
      spool: { directory, maxBytes: 300_000, segmentBytes: 100_000 },
      capacity: DRAIN_BUFFER.messages,
    });
    receiver.script(() => undefined, 200);
    const { id } = await one.drains.add("app", url(), { onFull: "spool" });
    one.source.append("first");
    await until(() => receiver.requests.length === 1);
    one.source.append(...numbered(1, half));
    for (let line = half + 1; line <= 3 * half; line += 64) {
      one.source.append(...numbered(line, line + 63));
      expectBalanced(one.drains.ledger(id));
    }
    expect(one.drains.ledger(id).lost.spool).toBeGreaterThan(0);
    await advanceUntil(one, () => one.drains.ledger(id).pending === 0, 1000);
    expectBalanced(one.drains.ledger(id));
    expect(receiver.lines().at(-1)).toBe(`line ${3 * half}`);
    await one.drains.close({ timeoutMs: 0 });
  }, 60_000);

  it("loses with account what a full or broken disk does not take", async () => {
    await writeFile(join(directory, "file"), "");
    const one = setup({
      spool: { directory: join(directory, "file") },
      capacity: DRAIN_BUFFER.messages,
    });
    receiver.script(() => undefined, 200);
    const { id } = await one.drains.add("app", url(), { onFull: "spool" });
    one.source.append("first");
    await until(() => receiver.requests.length === 1);
    one.source.append(...numbered(1, half));
    one.source.append("after");
    expectBalanced(one.drains.ledger(id));
    expect(one.drains.ledger(id).lost).toEqual({ spool: half });
    await advanceUntil(one, () => one.drains.ledger(id).pending === 0, 1000);
    expect(one.drains.ledger(id)).toMatchObject({ delivered: 2 });
    expect(receiver.lines().filter((line) => !line.startsWith("Error"))).toEqual([
      "first",
      "after",
    ]);
    await one.drains.close({ timeoutMs: 0 });
  });

  it("is refused without a directory of the operator", async () => {
    const one = setup();
    await expect(one.drains.add("app", url(), { onFull: "spool" })).rejects.toMatchObject({
      code: "bad-request",
    });
    expect(one.drains.list()).toEqual([]);
  });
});

describe("a spool on disk", () => {
  it("skips a damaged record and opens in any state", async () => {
    const spool = new DrainSpool(ID, { directory });
    const messages = numbered(1, 50).map((body, index) => message({ seq: index + 1, body }));
    spool.append(messages);
    spool.close();
    const [name] = await readdir(join(directory, ID));
    const path = join(directory, ID, name as string);
    const bytes = await readFile(path);
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] as number) ^ 0xff;
    await writeFile(path, bytes.subarray(0, -3));
    const again = new DrainSpool(ID, { directory });
    const read = again.read(1, 100, 1e6);
    expect(read.length).toBe(48);
    expect(read[0]?.seq).toBe(1);
    expect(again.endSeq).toBe(50);
    again.append([message({ seq: 60, body: "more" })]);
    expect(again.read(50, 10, 1e6).map((one) => one.seq)).toEqual([60]);
    again.remove();
    expect(await readdir(directory)).toEqual([]);
  });
});
