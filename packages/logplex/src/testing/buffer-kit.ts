import { strict as assert } from "node:assert";
import { randomBytes } from "node:crypto";
import type { StoredMessage } from "../message.ts";
import type { ChannelSpool, LogBuffer } from "../spool/buffer.ts";
import { describeChecks, type KitCheck, type TestRunner } from "./kit.ts";

/** A place for a buffer under test; opening it again must find what was kept. */
export interface BufferSubject {
  /** A buffer on the place of this subject, not started yet. */
  open(): LogBuffer | Promise<LogBuffer>;
  /** Removes the place, after the buffers on it were closed. */
  dispose(): Promise<void>;
}

const CONTEXT = { random: (size: number) => randomBytes(size) } as Parameters<
  LogBuffer["start"]
>[0];

/** Messages with every field set. */
export function makeMessages(from: number, to: number): StoredMessage[] {
  return Array.from({ length: to - from + 1 }, (_, index) => makeMessage(from + index));
}

function makeMessage(seq: number): StoredMessage {
  const micros = 1_773_480_413_000_000 + seq;
  return {
    seq,
    id: `${Math.floor(micros / 1000)}-${seq}`,
    ts: micros - 5,
    receivedAt: micros,
    pri: 165,
    facility: 20,
    severity: 5,
    source: "app",
    procid: "web.1",
    hostname: "host",
    msgid: "ID7",
    sd: [{ id: "order@32473", params: [{ name: "note", value: 'a]b"☕' }] }],
    body: Buffer.from([0x62, 0xff, 0x00, 0x0a, ...Buffer.from(` ${seq} ☕`)]),
    flags: new Set(["notUtf8", "split"]),
    split: { group: "g.1", index: 1, count: 2 },
    tsText: "2026-03-14T09:26:53Z",
  };
}

/** What of a message must survive; prototypes and kinds of arrays may differ. */
function essence(message: StoredMessage): unknown {
  const { seq, id, ts, receivedAt, pri, source, procid, hostname, msgid, sd, split, tsText } =
    message;
  const flags = [...message.flags].sort();
  const body = Buffer.from(message.body).toString("hex");
  return JSON.parse(
    JSON.stringify({
      seq,
      id,
      ts,
      receivedAt,
      pri,
      source,
      procid,
      hostname,
      msgid,
      sd,
      split,
      tsText,
      flags,
      body,
    }),
  );
}

async function withBuffer(
  make: () => BufferSubject | Promise<BufferSubject>,
  body: (open: () => Promise<LogBuffer>) => Promise<void>,
): Promise<void> {
  const subject = await make();
  const opened: LogBuffer[] = [];
  try {
    await body(async () => {
      const buffer = await subject.open();
      opened.push(buffer);
      await buffer.start(CONTEXT);
      return buffer;
    });
  } finally {
    for (const buffer of opened) await buffer.close();
    await subject.dispose();
  }
}

async function appended(
  buffer: LogBuffer,
  channel: string,
  from: number,
  to: number,
): Promise<ChannelSpool> {
  const spool = buffer.open(channel);
  await spool.ready;
  spool.append(makeMessages(from, to));
  await spool.flushed();
  return spool;
}

/** What every `LogBuffer` promises (spec/logplex.md §12.2). */
export const bufferChecks: readonly KitCheck<BufferSubject>[] = Object.freeze([
  {
    name: "keeps-every-field",
    promise: "a message is read back with every field, its body to the byte",
    run: (make) =>
      withBuffer(make, async (open) => {
        const spool = await appended(await open(), "a", 1, 3);
        const { messages } = await spool.read(1, 10, 1e6);
        assert.deepEqual(messages.map(essence), makeMessages(1, 3).map(essence));
      }),
  },
  {
    name: "honours-limits",
    promise: "a read stops at its limits, gives at least one message and says where to go on",
    run: (make) =>
      withBuffer(make, async (open) => {
        const spool = await appended(await open(), "a", 1, 10);
        const few = await spool.read(3, 4, 1e6);
        assert.deepEqual(
          few.messages.map(({ seq }) => seq),
          [3, 4, 5, 6],
        );
        assert.equal(few.nextSeq, 7);
        const one = await spool.read(3, 4, 1);
        assert.deepEqual(
          one.messages.map(({ seq }) => seq),
          [3],
        );
        assert.equal(one.nextSeq, 4);
      }),
  },
  {
    name: "counts-the-trimmed",
    promise: "a read from before the first message says exactly how many are gone",
    run: (make) =>
      withBuffer(make, async (open) => {
        const spool = await appended(await open(), "a", 11, 15);
        const read = await spool.read(4, 100, 1e6);
        assert.equal(read.trimmed, 7);
        assert.deepEqual(
          read.messages.map(({ seq }) => seq),
          [11, 12, 13, 14, 15],
        );
      }),
  },
  {
    name: "keeps-what-is-needed",
    promise: "a trim gives up nothing from its number on",
    run: (make) =>
      withBuffer(make, async (open) => {
        const spool = await appended(await open(), "a", 1, 20);
        spool.trim(8, 0);
        assert.ok(spool.firstSeq <= 8, `first is ${spool.firstSeq}`);
        const read = await spool.read(8, 100, 1e6);
        assert.equal(read.trimmed, 0);
        assert.equal(read.messages.length, 13);
      }),
  },
  {
    name: "separates-channels",
    promise: "channels do not see each other, whatever their names",
    run: (make) =>
      withBuffer(make, async (open) => {
        const buffer = await open();
        const names = ["a", "A", "a/b", "../a", "a b", "ä"];
        for (const [index, name] of names.entries())
          await appended(buffer, name, index + 1, index + 1);
        for (const [index, name] of names.entries()) {
          const { messages } = await buffer.open(name).read(index + 1, 10, 1e6);
          assert.deepEqual(
            messages.map(({ seq }) => seq),
            [index + 1],
            `channel ${name}`,
          );
        }
        assert.deepEqual([...buffer.channels()].sort(), [...names].sort());
      }),
  },
  {
    name: "survives-reopening",
    promise: "messages, channels and the epoch are there after the buffer was closed and opened",
    run: (make) =>
      withBuffer(make, async (open) => {
        const first = await open();
        const { epoch } = await appended(first, "a", 1, 5);
        await first.close();
        const second = await open();
        assert.deepEqual([...second.channels()], ["a"]);
        const spool = second.open("a");
        await spool.ready;
        assert.equal(spool.epoch, epoch);
        assert.equal(spool.nextSeq, 6);
        assert.deepEqual(
          (await spool.read(1, 10, 1e6)).messages.map(essence),
          makeMessages(1, 5).map(essence),
        );
        assert.deepEqual(
          (await spool.restore(2, 1e6)).map(({ seq }) => seq),
          [4, 5],
        );
        await appended(second, "a", 6, 7);
        assert.deepEqual(
          (await spool.read(5, 10, 1e6)).messages.map(({ seq }) => seq),
          [5, 6, 7],
        );
      }),
  },
  {
    name: "forgets-what-is-deleted",
    promise: "a deleted channel is gone and may begin anew",
    run: (make) =>
      withBuffer(make, async (open) => {
        const buffer = await open();
        await appended(buffer, "a", 1, 5);
        await buffer.delete("a");
        assert.deepEqual([...buffer.channels()], []);
        const spool = await appended(buffer, "a", 1, 2);
        assert.deepEqual(
          (await spool.read(1, 10, 1e6)).messages.map(({ seq }) => seq),
          [1, 2],
        );
      }),
  },
  {
    name: "closes-twice",
    promise: "`close` can be called again",
    run: (make) =>
      withBuffer(make, async (open) => {
        const buffer = await open();
        await appended(buffer, "a", 1, 1);
        await buffer.close();
        try {
          await buffer.close();
        } catch (error) {
          assert.fail(`the second close rejected with ${String(error)}`);
        }
      }),
  },
]);

/** Registers the checks of a buffer as tests. */
export function describeBuffer(
  title: string,
  make: () => BufferSubject | Promise<BufferSubject>,
  runner: TestRunner,
): void {
  describeChecks(title, bufferChecks, make, runner);
}
