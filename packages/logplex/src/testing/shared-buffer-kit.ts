import { strict as assert } from "node:assert";
import { randomBytes } from "node:crypto";
import type { StoredMessage } from "../message.ts";
import type { ChannelSpool, Lease, LogBuffer } from "../spool/buffer.ts";
import { type BufferSubject, makeMessages } from "./buffer-kit.ts";
import { describeChecks, type KitCheck, type TestRunner } from "./kit.ts";

/** One process of those that share a buffer. */
interface Member {
  readonly buffer: LogBuffer;
  /** Channels that it was told are deleted. */
  readonly deleted: string[];
}

const LINES = 10_000;
const BYTES = 64 * 1024 * 1024;
const PATIENCE_MS = 30_000;

async function eventually(condition: () => boolean | Promise<boolean>, what: string) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `within ${PATIENCE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Several buffers on one place, as several processes have them. */
async function withMembers(
  make: () => BufferSubject | Promise<BufferSubject>,
  body: (join: () => Promise<Member>) => Promise<void>,
): Promise<void> {
  const subject = await make();
  const members: Member[] = [];
  try {
    await body(async () => {
      const deleted: string[] = [];
      const member = { buffer: await subject.open(), deleted };
      members.push(member);
      await member.buffer.start({
        random: (size) => randomBytes(size),
        onDelete: (channel) => deleted.push(channel),
      });
      return member;
    });
  } finally {
    for (const { buffer } of members) await buffer.close();
    await subject.dispose();
  }
}

/** Joins a channel; `seen` grows with all that anybody appends. */
async function follow(
  { buffer }: Member,
  channel: string,
): Promise<{ readonly spool: ChannelSpool; readonly seen: StoredMessage[] }> {
  const spool = buffer.open(channel);
  assert.ok(spool.follow, "a shared buffer has `follow`");
  const seen: StoredMessage[] = [];
  await spool.follow((messages) => seen.push(...messages), LINES, BYTES);
  return { spool, seen };
}

const essence = (messages: readonly StoredMessage[]) =>
  messages.map(({ seq, body }) => `${seq} ${Buffer.from(body).toString("hex")}`);

/** Asks all for a right until one has it. */
async function acquire(members: readonly Member[], name: string) {
  let found: { readonly lease: Lease; readonly owner: Member } | undefined;
  await eventually(async () => {
    for (const owner of members) {
      const lease = await owner.buffer.lease?.(name);
      if (lease === undefined) continue;
      found = { lease, owner };
      return true;
    }
    return false;
  }, `somebody gets the right to ${name}`);
  return found!;
}

/** What a `LogBuffer` promises besides when several processes share it (spec/logplex.md §12). */
export const sharedBufferChecks: readonly KitCheck<BufferSubject>[] = Object.freeze([
  {
    name: "one-order",
    promise: "all processes see every message once, in one order without holes",
    run: (make) =>
      withMembers(make, async (join) => {
        const [one, two] = [await follow(await join(), "a"), await follow(await join(), "a")];
        for (let turn = 0; turn < 20; turn += 1) {
          one.spool.append(makeMessages(1, 5));
          two.spool.append(makeMessages(6, 8));
        }
        await one.spool.flushed();
        await two.spool.flushed();
        await eventually(
          () => one.seen.length >= 160 && two.seen.length >= 160,
          "both see all 160 messages",
        );
        const expected = Array.from({ length: 160 }, (_, index) => index + 1);
        assert.deepEqual(
          one.seen.map(({ seq }) => seq),
          expected,
        );
        assert.deepEqual(essence(two.seen), essence(one.seen));
      }),
  },
  {
    name: "settled-is-kept",
    promise: "what `flushed` settled for is there for a process that joins later",
    run: (make) =>
      withMembers(make, async (join) => {
        const one = await follow(await join(), "a");
        one.spool.append(makeMessages(1, 30));
        await one.spool.flushed();
        assert.equal(one.seen.length, 30, "its writer sees it as well");
        const late = await join();
        assert.ok(late.buffer.channels().includes("a"), "the channel is known");
        const { seen, spool } = await follow(late, "a");
        assert.deepEqual(essence(seen), essence(one.seen));
        assert.equal(spool.epoch, one.spool.epoch);
      }),
  },
  {
    name: "joins-without-gap",
    promise: "a process that joins while others write misses nothing and sees nothing twice",
    run: (make) =>
      withMembers(make, async (join) => {
        const one = await follow(await join(), "a");
        let writing = true;
        const written = (async () => {
          for (let turn = 0; turn < 100; turn += 1) {
            one.spool.append(makeMessages(1, 2));
            await one.spool.flushed();
          }
          writing = false;
        })();
        await eventually(() => one.seen.length > 10, "the first ones are written");
        const late = await follow(await join(), "a");
        await written;
        assert.equal(writing, false);
        await eventually(() => late.seen.length >= 200, "all 200 arrive");
        assert.deepEqual(essence(late.seen), essence(one.seen));
      }),
  },
  {
    name: "one-owner",
    promise: "a right has one holder, and the next one a greater fence",
    run: (make) =>
      withMembers(make, async (join) => {
        const members = [await join(), await join()];
        const first = await acquire(members, "drain");
        for (const { buffer } of members)
          assert.equal(await buffer.lease?.("drain"), undefined, "nobody else gets it");
        await first.lease.release();
        await first.owner.buffer.close();
        const others = members.filter((one) => one !== first.owner);
        const second = await acquire(others, "drain");
        assert.ok(
          second.lease.fence > first.lease.fence,
          `${second.lease.fence} > ${first.lease.fence}`,
        );
      }),
  },
  {
    name: "keeps-the-stale-out",
    promise: "what a process saves that has not the right is refused",
    run: (make) =>
      withMembers(make, async (join) => {
        const members = [await join(), await join()];
        const { owner } = await acquire(members, "drain");
        const other = members.find((one) => one !== owner)!;
        const record = (readSeq: number) =>
          ({ version: 1, seenSeq: 9, readSeq, boundaries: [] }) as never;
        await owner.buffer.drainStore?.save("drain", record(5));
        await assert.rejects(async () => other.buffer.drainStore?.save("drain", record(1)));
        const kept = await other.buffer.drainStore?.load("drain");
        assert.equal(kept?.readSeq, 5, "the record of the owner stays");
      }),
  },
  {
    name: "claims-once",
    promise: "a frame id is new to one process only, until it is released",
    run: (make) =>
      withMembers(make, async (join) => {
        const [one, two] = [await join(), await join()];
        const claims = await Promise.all(
          [one, two, one, two].map(({ buffer }) => buffer.claimFrame?.("t/f", 60_000)),
        );
        assert.equal(claims.filter((mine) => mine === true).length, 1);
        await two.buffer.releaseFrame?.("t/f");
        assert.equal(await one.buffer.claimFrame?.("t/f", 60_000), true);
      }),
  },
  {
    name: "tells-of-deletion",
    promise: "a channel that one process deletes is gone for all",
    run: (make) =>
      withMembers(make, async (join) => {
        const [one, two] = [await join(), await join()];
        const { spool } = await follow(one, "a");
        await follow(two, "a");
        spool.append(makeMessages(1, 3));
        await spool.flushed();
        await one.buffer.delete("a");
        await eventually(() => two.deleted.includes("a"), "the other one is told");
        assert.ok(!two.buffer.channels().includes("a"));
      }),
  },
]);

/** Registers the checks of a buffer that several processes share; run those of `describeBuffer` too. */
export function describeSharedBuffer(
  title: string,
  make: () => BufferSubject | Promise<BufferSubject>,
  runner: TestRunner,
): void {
  describeChecks(title, sharedBufferChecks, make, runner);
}
