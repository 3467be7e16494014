import { afterEach, expect, test } from "vitest";
import { type ChannelSpool, type LogBuffer, Logplex, type StoredMessage } from "../../src/index.ts";
import { createMemorySource } from "../../src/testing/memory-source.ts";
import { createVirtualClock } from "../../src/testing/virtual-clock.ts";
import { until } from "../drain/receiver.ts";
import { basic } from "../support/http.ts";

const L15 = "L15: Error displaying log lines. Please try again.";
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A router on a shared buffer that behaves as one spool says. */
async function start(spool: Partial<ChannelSpool>) {
  const whole: ChannelSpool = {
    epoch: "e",
    firstSeq: 1,
    nextSeq: 1,
    restore: () => [],
    append: () => 0,
    flushed: () => undefined,
    read: async () => ({ messages: [], trimmed: 0, nextSeq: 1 }),
    trim: () => undefined,
    close: async () => undefined,
    ...spool,
  };
  const buffer: LogBuffer = {
    start: () => undefined,
    channels: () => ["a"],
    open: () => whole,
    delete: async () => undefined,
    faults: { damagedRecords: 0, failedWrites: 0 },
    close: async () => undefined,
  };
  const clock = createVirtualClock();
  const logplex = new Logplex({ buffer, clock });
  closing.push(() => logplex.close({ timeoutMs: 0 }));
  const { http } = await logplex.listen({ http: { port: 0, api: true } });
  return { logplex, clock, base: `http://127.0.0.1:${http!.port}` };
}

test("who reads while the shared buffer does not answer gets L15 after 5 s", async () => {
  const { logplex, clock, base } = await start({ follow: () => new Promise(() => undefined) });
  const { path } = logplex.createSession("a", { tail: true });
  const { id, password } = logplex.createCredential({ permissions: ["full_api"] });
  const timers = clock.timers;
  const session = fetch(base + path, { headers: { Accept: "text/event-stream" } });
  const logs = fetch(`${base}/v3/channels/a/logs`, { headers: basic(id, password) });
  await until(() => clock.timers === timers + 2, "both wait");
  clock.advance(4999);
  expect(clock.timers).toBe(timers + 2);
  clock.advance(1);
  const text = await (await session).text();
  expect(text).toContain(` heroku[logplex]: ${L15}\n\n`);
  // No place to resume after, so that a reader keeps the one it had.
  expect(text).not.toMatch(/^id:/m);
  const refused = await logs;
  expect([refused.status, await refused.json()]).toEqual([503, { error: L15 }]);
});

test("who reads what the shared buffer can't show any more gets L15 in its place", async () => {
  const source = createMemorySource({ now: () => 0, id: "a" });
  source.append("1", "2", "3", "4", "5");
  const { messages } = source.read(1, 10) as { messages: readonly StoredMessage[] };
  const { logplex, base } = await start({
    nextSeq: 6,
    follow: async (take) => take(messages.slice(3)),
    read: async () => {
      throw new Error("away");
    },
  });
  await logplex.ready("a");
  const read = async (accept: string, after: number) => {
    const { path } = logplex.createSession("a", { tail: true });
    const url = `${base}${path}&after=${after}`;
    const response = await fetch(url, { headers: { Accept: accept } });
    return response.text();
  };
  expect(await read("text/event-stream", 1)).toContain(`: ${L15}\n\n`);
  expect(JSON.parse(await read("application/x-ndjson", 1))).toMatchObject({ seq: 0, body: L15 });
  expect(await read("text/plain", 1)).toMatch(/^\S+ heroku\[logplex\]: L15: .* again\.\n$/);
});
