import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import type { DrainRecord } from "../../src/index.ts";
import type { StoredMessage } from "../../src/message.ts";
import type { BufferContext, ChannelSpool, LogBuffer } from "../../src/spool/buffer.ts";
import {
  type BufferSubject,
  describeSharedBuffer,
  sharedBufferChecks,
} from "../../src/testing/index.ts";
import { describeNats, natsPlace } from "../support/nats.ts";
import { describeRedis, redisPlace } from "../support/redis.ts";

/** What a broken example changes about the shared buffer in memory. */
interface Change {
  /** Each process numbers for itself. */
  readonly ownNumbers?: boolean;
  /** What was written before is not handed to who joins. */
  readonly noHistory?: boolean;
  /** What comes while a process joins is not handed to it. */
  readonly deafWhileJoining?: boolean;
  readonly sameFence?: boolean;
  readonly saveAnyway?: boolean;
  readonly claimAlways?: boolean;
  readonly silentDelete?: boolean;
}

/** The place that all processes of one test share. */
class Place extends EventEmitter {
  readonly logs = new Map<string, StoredMessage[]>();
  readonly owners = new Map<string, { owner: object; fence: number }>();
  readonly fences = new Map<string, number>();
  readonly records = new Map<string, DrainRecord>();
  readonly claimed = new Set<string>();
}

function sharedSubject(change: Change = {}): BufferSubject {
  const place = new Place();
  place.setMaxListeners(0);
  return { open: () => openMember(place, change), dispose: async () => undefined };
}

function openMember(place: Place, change: Change): LogBuffer {
  const me = {};
  let context: BufferContext | undefined;
  const onDelete = (channel: string, by: object) => {
    if (by !== me && !change.silentDelete) context?.onDelete?.(channel);
  };
  return {
    faults: { damagedRecords: 0, failedWrites: 0 },
    start(given) {
      context = given;
      place.on("delete", onDelete);
    },
    channels: () => [...place.logs.keys()],
    open: (channel) => openSpool(place, channel, change),
    async delete(channel) {
      place.logs.delete(channel);
      place.emit("delete", channel, me);
    },
    drainStore: {
      load: async (drain) => place.records.get(drain),
      async save(drain, record) {
        if (place.owners.get(drain)?.owner !== me && !change.saveAnyway) throw new Error("stale");
        place.records.set(drain, record);
      },
      remove: async (drain) => void place.records.delete(drain),
    },
    claimFrame: async (key) => {
      const mine = change.claimAlways === true || !place.claimed.has(key);
      place.claimed.add(key);
      return mine;
    },
    releaseFrame: async (key) => void place.claimed.delete(key),
    async lease(name) {
      if (place.owners.has(name)) return undefined;
      const fence = change.sameFence ? 1 : (place.fences.get(name) ?? 0) + 1;
      place.fences.set(name, fence);
      place.owners.set(name, { owner: me, fence });
      return {
        fence,
        lost: new AbortController().signal,
        release: async () => void place.owners.delete(name),
      };
    },
    async close() {
      place.off("delete", onDelete);
    },
  };
}

function openSpool(place: Place, channel: string, change: Change): ChannelSpool {
  const log = place.logs.get(channel) ?? [];
  place.logs.set(channel, log);
  let own = 0;
  const nextSeq = () => (log.at(-1)?.seq ?? 0) + 1;
  return {
    epoch: "e",
    get firstSeq() {
      return log[0]?.seq ?? 1;
    },
    get nextSeq() {
      return nextSeq();
    },
    restore: () => log,
    append(messages) {
      const numbered = messages.map((message, index) => {
        const seq = change.ownNumbers ? ++own : nextSeq() + index;
        return { ...message, seq };
      });
      log.push(...numbered);
      place.emit("append", channel, numbered);
      return 0;
    },
    flushed: () => new Promise((resolve) => setImmediate(resolve)),
    read: () => ({ messages: log, trimmed: 0, nextSeq: nextSeq() }),
    trim: () => undefined,
    async follow(take) {
      if (!change.noHistory) take([...log]);
      if (change.deafWhileJoining && log.length > 0)
        await new Promise((resolve) => setTimeout(resolve, 20));
      place.on("append", (name: string, messages: StoredMessage[]) => {
        if (name === channel) take(messages);
      });
    },
    close: async () => undefined,
  };
}

describeSharedBuffer("a shared buffer in memory", () => sharedSubject(), { describe, it });

/** The messages of the kit are of a fixed day. */
const AGES_MS = 100 * 365 * 86_400_000;

describeRedis("on a real Redis, shared by several processes,", () => {
  describeSharedBuffer(
    "the Redis buffer",
    () => {
      const place = redisPlace();
      return { open: () => place.buffer({ maxAgeMs: AGES_MS }), dispose: () => place.dispose() };
    },
    { describe, it },
  );
});

const broken: Record<string, Change> = {
  "one-order": { ownNumbers: true },
  "settled-is-kept": { noHistory: true },
  "joins-without-gap": { deafWhileJoining: true },
  "one-owner": { sameFence: true },
  "keeps-the-stale-out": { saveAnyway: true },
  "claims-once": { claimAlways: true },
  "tells-of-deletion": { silentDelete: true },
};

describe("the kit of shared buffers", () => {
  it("has a broken example for each check", () => {
    expect(new Set(Object.keys(broken))).toEqual(
      new Set(sharedBufferChecks.map((check) => check.name)),
    );
  });

  // What waits for something that never comes takes as long as the kit is patient.
  const quick = Object.keys(broken).filter(
    (name) => name !== "joins-without-gap" && name !== "tells-of-deletion",
  );
  it.each(quick)("catches the buffer that breaks %s", async (name) => {
    const failed: string[] = [];
    for (const check of sharedBufferChecks) {
      if (!quick.includes(check.name)) continue;
      await check.run(() => sharedSubject(broken[name])).catch(() => failed.push(check.name));
    }
    expect(failed).toContain(name);
  });
});

describeNats("on a real NATS, shared by several processes,", () => {
  describeSharedBuffer(
    "the NATS buffer",
    async () => {
      const place = await natsPlace();
      return { open: () => place.buffer(), dispose: () => place.dispose() };
    },
    { describe, it },
  );
});
