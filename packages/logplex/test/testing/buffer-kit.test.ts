import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type NodeRedisClient, type ReadResult, redisBuffer } from "../../src/index.ts";
import type { StoredMessage } from "../../src/message.ts";
import type { ChannelSpool, LogBuffer } from "../../src/spool/buffer.ts";
import { diskBuffer } from "../../src/spool/disk-buffer.ts";
import { type BufferSubject, bufferChecks, describeBuffer } from "../../src/testing/index.ts";
import { describeNats, natsPlace } from "../support/nats.ts";
import { describeRedis, nodeRedis, redisPlace } from "../support/redis.ts";

type Place = Map<string, { epoch: string; messages: StoredMessage[] }>;

/** What a broken example changes about the buffer in memory. */
interface Change {
  readonly store?: (message: StoredMessage) => StoredMessage;
  readonly read?: (result: ReadResult) => ReadResult;
  readonly ignoreLimits?: boolean;
  readonly trimTo?: (beforeSeq: number) => number;
  readonly name?: (channel: string) => string;
  readonly forgetful?: boolean;
  readonly keepDeleted?: boolean;
  readonly closeOnce?: boolean;
}

function memorySubject(change: Change = {}): BufferSubject {
  const place: Place = new Map();
  return {
    open: () => memoryBuffer(place, change),
    dispose: async () => undefined,
  };
}

function memoryBuffer(place: Place, change: Change): LogBuffer {
  let closes = 0;
  if (change.forgetful) place.clear();
  return {
    faults: { damagedRecords: 0, failedWrites: 0 },
    start: () => undefined,
    channels: () => [...place.keys()],
    open: (channel) => memorySpool(place, change.name?.(channel) ?? channel, change),
    delete: async (channel) => {
      if (!change.keepDeleted) place.delete(channel);
    },
    close: async () => {
      if (++closes === 2 && change.closeOnce) throw new Error("closed already");
    },
  };
}

function memorySpool(place: Place, channel: string, change: Change): ChannelSpool {
  const kept = place.get(channel) ?? { epoch: `e-${Math.random()}`, messages: [] };
  place.set(channel, kept);
  const firstSeq = () => kept.messages[0]?.seq ?? 1;
  const nextSeq = () => (kept.messages.at(-1)?.seq ?? 0) + 1;
  return {
    epoch: kept.epoch,
    get firstSeq() {
      return firstSeq();
    },
    get nextSeq() {
      return nextSeq();
    },
    restore: (lines) => kept.messages.slice(-lines),
    append(messages) {
      kept.messages.push(...messages.map((message) => change.store?.(message) ?? message));
    },
    flushed: () => undefined,
    read(fromSeq, maxMessages, maxBytes) {
      const found: StoredMessage[] = [];
      let bytes = 0;
      let seq = Math.max(fromSeq, firstSeq());
      for (const message of kept.messages) {
        if (message.seq < seq) continue;
        bytes += message.body.length;
        const full = found.length >= maxMessages || (bytes > maxBytes && found.length > 0);
        if (full && !change.ignoreLimits) break;
        found.push(message);
        seq = message.seq + 1;
      }
      const trimmed = Math.max(0, Math.min(firstSeq(), nextSeq()) - fromSeq);
      const result = { messages: found, trimmed, nextSeq: seq };
      return change.read?.(result) ?? result;
    },
    trim(beforeSeq) {
      const limit = change.trimTo?.(beforeSeq) ?? beforeSeq;
      kept.messages = kept.messages.filter(({ seq }) => seq >= limit);
    },
    close: async () => undefined,
  };
}

const broken: Record<string, Change> = {
  "keeps-every-field": {
    read: (result) => ({
      ...result,
      messages: result.messages.map((one) => ({ ...one, msgid: "" })),
    }),
  },
  "honours-limits": { ignoreLimits: true },
  "counts-the-trimmed": { read: (result) => ({ ...result, trimmed: 0 }) },
  "keeps-what-is-needed": { trimTo: (seq) => seq + 1 },
  "separates-channels": { name: (channel) => channel.toLowerCase() },
  "survives-reopening": { forgetful: true },
  "forgets-what-is-deleted": { keepDeleted: true },
  "closes-twice": { closeOnce: true },
};

async function failing(change: Change): Promise<string[]> {
  const failed: string[] = [];
  for (const check of bufferChecks) {
    await check.run(() => memorySubject(change)).catch(() => failed.push(check.name));
  }
  return failed;
}

describeBuffer("a buffer in memory", () => memorySubject(), { describe, it });

describeBuffer(
  "the disk buffer",
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "dynokit-buffer-"));
    return {
      open: () => diskBuffer(directory),
      dispose: () => rm(directory, { recursive: true, force: true }),
    };
  },
  { describe, it },
);

/** The messages of the kit are of a fixed day. */
const AGES_MS = 100 * 365 * 86_400_000;

describeRedis("on a real Redis", () => {
  describeBuffer(
    "the Redis buffer with ioredis",
    () => {
      const place = redisPlace();
      return { open: () => place.buffer({ maxAgeMs: AGES_MS }), dispose: () => place.dispose() };
    },
    { describe, it },
  );

  describeBuffer(
    "the Redis buffer with redis",
    () => {
      const place = redisPlace();
      const client = nodeRedis();
      return {
        open: () =>
          redisBuffer(client as unknown as NodeRedisClient, {
            prefix: place.prefix,
            maxAgeMs: AGES_MS,
          }),
        dispose: () => place.dispose(),
      };
    },
    { describe, it },
  );
});

describe("the buffer kit", () => {
  it("has a broken example for each check", () => {
    expect(new Set(Object.keys(broken))).toEqual(new Set(bufferChecks.map((check) => check.name)));
  });

  it.each(Object.keys(broken))("catches the buffer that breaks %s", async (name) => {
    const failed = await failing(broken[name] as Change);
    expect(failed).toContain(name);
    // Losing fields also shows when the buffer is opened again, where the same comparison runs.
    expect(failed.filter((one) => one !== "survives-reopening" || name === one)).toEqual([name]);
  });
});

describeNats("on a real NATS", () => {
  describeBuffer(
    "the NATS buffer",
    async () => {
      const place = await natsPlace();
      return { open: () => place.buffer(), dispose: () => place.dispose() };
    },
    { describe, it },
  );
});
