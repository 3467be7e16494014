import { afterEach, describe, expect, it } from "vitest";
import { type ListenAddress, Logplex } from "../../src/index.ts";
import type { LogBuffer } from "../../src/spool/buffer.ts";
import { basic, frames, post } from "../support/http.ts";

describe("health over HTTP", () => {
  const open: Logplex[] = [];
  afterEach(async () => {
    for (const logplex of open.splice(0)) await logplex.close({ timeoutMs: 0 });
  });
  async function start(
    options: ConstructorParameters<typeof Logplex>[0] = {},
    listen: { maxLoopLagMs?: number } = {},
  ): Promise<{ logplex: Logplex; http: ListenAddress }> {
    const logplex = new Logplex(options);
    open.push(logplex);
    return { logplex, http: (await logplex.listen({ http: { port: 0, ...listen } })).http! };
  }
  const look = async (http: ListenAddress, path: string) => {
    const reply = await post(http, path, "", {}, "GET");
    return [reply.status, await reply.text()];
  };

  it("is all right at first", async () => {
    const { http } = await start();
    for (const path of ["/healthz", "/livez", "/readyz", "/healthcheck"])
      expect(await look(http, path)).toEqual([200, "OK"]);
  });

  it("is not alive when the event loop was held up since the last look", async () => {
    const { http } = await start({}, { maxLoopLagMs: 150 });
    await look(http, "/livez");
    const until = Date.now() + 400;
    while (Date.now() < until);
    const [status, text] = await look(http, "/livez");
    expect(status).toBe(503);
    expect(text).toMatch(/^EVENT LOOP HELD FOR \d+ MS$/);
    expect((await look(http, "/healthz"))[0]).toBe(200);
  });

  it("is not ready while the buffer can't be reached, or inputs are off", async () => {
    const buffer = {
      reachable: false,
      faults: { damagedRecords: 0, failedWrites: 0 },
      start: () => undefined,
      channels: () => [],
      open: () => undefined,
      delete: async () => undefined,
      close: async () => undefined,
    };
    const { logplex, http } = await start({ buffer: buffer as unknown as LogBuffer });
    expect(await look(http, "/readyz")).toEqual([503, "BUFFER UNREACHABLE"]);
    expect(await look(http, "/healthcheck")).toEqual([200, "OK"]);
    buffer.reachable = true;
    expect(await look(http, "/readyz")).toEqual([200, "OK"]);
    logplex.setSwitch("ingress", false);
    expect(await look(http, "/readyz")).toEqual([503, "SYSTEM BOOTING"]);
    expect(await look(http, "/healthcheck")).toEqual([503, "SYSTEM BOOTING"]);
  });

  it("refuses more than the whole router may take in, whichever token it comes with", async () => {
    const { logplex, http } = await start({
      clock: {
        now: () => 0,
        setTimeout: (callback, ms) => setTimeout(callback, ms),
        clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
      },
      routerBudget: { linesPerSecond: 2, burstLines: 3, bytesPerSecond: 1e6 },
    });
    const send = (channel: string, count: number) =>
      post(http, "/logs", frames(...Array(count).fill("<13>1 - h a p - - x")), {
        ...basic("token", logplex.createToken(channel, "app")),
        "Content-Type": "application/logplex-1",
      });
    expect((await send("a", 2)).status).toBe(204);
    const refused = await send("b", 2);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
    expect((await send("b", 1)).status).toBe(204);
    expect(logplex.channel("b").history({ query: "source:app" })).toHaveLength(1);
    expect(() => new Logplex({ routerBudget: { linesPerSecond: 0, bytesPerSecond: 1 } })).toThrow(
      /linesPerSecond/,
    );
  });
});
