import { afterEach, describe, expect, it } from "vitest";
import { Logplex } from "../../src/index.ts";
import { basic, post } from "../support/http.ts";

describe("a search", () => {
  const logplex = new Logplex();
  afterEach(() => logplex.deleteChannel("a"));
  const channel = () => logplex.channel("a");
  const write = async (count: number) => {
    const lines = Array.from({ length: count }, (_, index) => Buffer.from(`line ${index + 1}`));
    await channel().write({ source: "app", proc: "web.1", lines, at: 0 });
  };
  const seqs = (result: ReturnType<ReturnType<typeof channel>["search"]>) =>
    result.messages.map(({ seq }) => seq);

  it("says that it has enough, and where to go on", async () => {
    await write(10);
    const first = channel().search({ query: "line", limit: 4 });
    expect([seqs(first), first.scanned, first.stoppedBy, first.oldestSeq]).toEqual([
      [7, 8, 9, 10],
      4,
      "limit",
      7,
    ]);
    expect(seqs(channel().search({ limit: 4, beforeSeq: first.oldestSeq }))).toEqual([3, 4, 5, 6]);
  });

  it("says that there is nothing older", async () => {
    await write(10);
    const result = channel().search({ query: '"line 3"', limit: 4 });
    expect(result).toMatchObject({ scanned: 10, stoppedBy: "retention", oldestSeq: 1 });
    expect(seqs(result)).toEqual([3]);
    expect(channel().search({ query: "none", limit: 0 })).toEqual({
      messages: [],
      scanned: 0,
      stoppedBy: "limit",
      oldestSeq: undefined,
    });
  });

  it("ends when its work is done, and misses nothing when it goes on", async () => {
    await write(100);
    const found: number[] = [];
    let beforeSeq: number | undefined;
    let rounds = 0;
    for (;;) {
      const result = channel().search({
        query: "/7$/",
        limit: 1000,
        beforeSeq,
        work: { messages: 8 },
      });
      found.unshift(...seqs(result));
      rounds += 1;
      if (result.stoppedBy !== "budget") break;
      expect(result.scanned).toBe(8);
      beforeSeq = result.oldestSeq;
    }
    expect(rounds).toBe(13);
    expect(found).toEqual([7, 17, 27, 37, 47, 57, 67, 77, 87, 97]);
    expect(channel().search({ work: { bytes: 1 } })).toMatchObject({
      scanned: 1,
      stoppedBy: "budget",
    });
  });

  it("with stages looks at all that its work allows", async () => {
    await write(10);
    const result = channel().search({ query: "line | head 2", work: { messages: 5 } });
    expect([seqs(result), result.stoppedBy, result.oldestSeq]).toEqual([[6, 7], "budget", 6]);
  });

  it("over HTTP says why it ended", async () => {
    await write(3);
    const { http } = await logplex.listen({ http: { port: 0, api: true } });
    const { id, password } = logplex.createCredential({ permissions: ["full_api"] });
    for (const [num, why] of [
      ["2", "limit"],
      ["50", "retention"],
    ]) {
      const path = `/v3/channels/a/logs?num=${num}`;
      const reply = await post(http!, path, "", basic(id, password), "GET");
      expect(reply.headers.get("logplex-stopped-by")).toBe(why);
      await reply.arrayBuffer();
    }
    await logplex.close({ timeoutMs: 0 });
  });
});
