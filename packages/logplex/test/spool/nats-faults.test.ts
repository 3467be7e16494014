import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { Logplex, LogplexError, type NatsClient, natsBuffer } from "../../src/index.ts";
import { until } from "../drain/receiver.ts";
import { connectNats, describeNats, natsUrl, natsWay } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { natsRouters } from "./nats-setup.ts";
import { DRAIN, local, seen, write } from "./shared-setup.ts";

describeNats("a buffer on a NATS that fails", () => {
  let routers: Awaited<ReturnType<typeof natsRouters>>;
  const start: (typeof routers)["start"] = (...args) => routers.start(...args);
  beforeEach(async () => {
    routers = await natsRouters();
  });
  afterEach(() => routers.dispose());

  async function cuttable() {
    const way = await natsWay();
    routers.closers.push(() => way.down());
    return way;
  }
  const failure = async (work: unknown) =>
    Promise.resolve(work).then(
      () => undefined,
      (error: unknown) => (LogplexError.is(error) ? error.code : error),
    );

  it("says over HTTP whether NATS is there", async () => {
    const way = await cuttable();
    const one = await routers.startAt(way.url);
    const { http } = await one.listen({ http: { port: 0 } });
    const shows = async (wanted: string) => {
      const end = Date.now() + 50_000;
      for (;;) {
        const reply = await fetch(`http://127.0.0.1:${http!.port}/readyz`);
        if (`${reply.status} ${await reply.text()}` === wanted) return;
        if (Date.now() > end) throw new Error(`never: ${wanted}`);
      }
    };
    await shows("200 OK");
    await way.down();
    await shows("503 BUFFER UNREACHABLE");
    await way.up();
    await shows("200 OK");
  });

  it("stores once what was sent again because the reply was lost, whoever wrote meanwhile", async () => {
    const way = await cuttable();
    const one = await routers.startAt(way.url, { ackTimeoutMs: 20_000 });
    const two = await start();
    await write(one, "first");
    way.loseReplies(true);
    const pending = write(one, "second");
    await until(() => seen(two).length === 2);
    await write(two, "third");
    way.loseReplies(false);
    way.cut();
    await pending;
    await until(() => seen(one).length === 3);
    expect(seen(one)).toEqual(["1 first", "2 second", "3 third"]);
    expect(seen(two)).toEqual(seen(one));
    expect(await routers.place.kept("a")).toBe(3);
  });

  it("fails a write that NATS does not confirm in time, and refuses what is too much with L17", async () => {
    const way = await cuttable();
    const one = await routers.startAt(way.url, { ackTimeoutMs: 300, maxPendingMessages: 5 });
    await way.down();
    expect(await failure(write(one, ..."abcdefgh"))).toBe("storage-failed");
    await way.up();
    await until(() => seen(one).length >= 5);
    expect(seen(one).slice(0, 5)).toEqual(["1 a", "2 b", "3 c", "4 d", "5 e"]);
  });

  it("goes on with its numbers when NATS has lost everything", async () => {
    const [one, two] = [await start(), await start()];
    await write(one, "1", "2", "3");
    await until(() => two.channel("a").nextSeq === 4);
    const { epoch } = one.channel("a");
    await routers.place.removeStreams();
    await write(two, "4");
    await until(() => one.channel("a").nextSeq === 5);
    expect(seen(one)).toEqual(["1 1", "2 2", "3 3", "4 4"]);
    expect((await start()).channel("a").epoch).toBe(epoch);
  });

  it("can be closed while NATS is away, with a drain and lines that wait", async () => {
    const way = await cuttable();
    const one = await routers.startAt(way.url, { ackTimeoutMs: 300 }, local);
    await one.addDrain("a", "http://127.0.0.1:9/", DRAIN);
    await write(one, "stored");
    await way.down();
    const waiting = failure(write(one, "waits"));
    await one.close({ timeoutMs: 100 });
    expect(await waiting).toMatch(/storage-failed|closed/);
  });

  it("can be closed before NATS was ever reached, and when its connection is closed", async () => {
    const way = await cuttable();
    const connection = await connectNats(way.url);
    await way.down();
    const buffer = natsBuffer(connection, { prefix: routers.place.prefix, ackTimeoutMs: 50 });
    const one = new Logplex({ buffer });
    one.channel("a");
    const ready = one.ready("a").catch(() => undefined);
    await connection.close();
    await one.close({ timeoutMs: 50 });
    await ready;
  });

  it("loses nothing that was confirmed when the server is killed and comes back", async () => {
    const server = await startNatsServer();
    const own = await natsRouters(server.url);
    try {
      const [one, two] = [await own.startAt(server.url), await own.startAt(server.url)];
      let written = 0;
      const writing = (async () => {
        for (; written < 150; written += 1)
          await write(written % 2 === 0 ? one : two, `line ${written + 1}`);
      })();
      await until(() => written > 20);
      await server.kill();
      await server.start();
      await writing;
      await until(() => [one, two].every((logplex) => seen(logplex).length === 150));
      expect(seen(one)).toEqual(Array.from({ length: 150 }, (_, i) => `${i + 1} line ${i + 1}`));
      expect(seen(two)).toEqual(seen(one));
      const { epoch } = one.channel("a");
      await server.kill();
      await server.forget();
      await server.start();
      await write(one, "after all was lost");
      await until(() => seen(two).length === 151);
      expect(seen(two).at(-1)).toBe("151 after all was lost");
      const three = await own.startAt(server.url);
      expect(seen(three)).toEqual(["151 after all was lost"]);
      expect(three.channel("a").epoch).toBe(epoch);
    } finally {
      await own.dispose();
      await server.dispose();
    }
  });

  it("finds what was stored but never heard of, though the connection stood", async () => {
    const { place } = routers;
    let deaf = false;
    const hard: NatsClient = new Proxy(place.connection, {
      get(connection, name) {
        if (name !== "subscribe") {
          const value: unknown = Reflect.get(connection, name);
          return typeof value === "function" ? value.bind(connection) : value;
        }
        return (...[subject, options]: Parameters<NatsClient["subscribe"]>) =>
          connection.subscribe(subject, {
            callback: (error, message) => {
              if (!deaf) options.callback(error, message);
            },
          });
      },
    });
    const clock = {
      ...systemClock,
      // Only the look for lost notices waits so long here.
      setTimeout: (run: () => void, ms: number) =>
        systemClock.setTimeout(run, ms === 10_000 ? 20 : ms),
    };
    const one = new Logplex({ buffer: natsBuffer(hard, { prefix: place.prefix, clock }) });
    routers.closers.push(() => one.close({ timeoutMs: 0 }));
    await one.ready("a");
    const two = await start();
    deaf = true;
    await write(two, "1", "2");
    await until(() => seen(one).length === 2);
    await write(one, "3");
    expect(seen(one)).toEqual(["1 1", "2 2", "3 3"]);
  });

  it("shows whole batches only of a process that is killed, every confirmed one, without a hole", async () => {
    const all = { retention: { lines: 50_000, bytes: 64 * 1024 * 1024 } };
    const one = await start({ maxLines: 50_000 }, all);
    const child = spawn(
      process.execPath,
      [
        "--conditions=@dynokit/source",
        "--import",
        "tsx",
        fileURLToPath(new URL("nats-child.ts", import.meta.url)),
        natsUrl(),
        routers.place.prefix,
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    routers.closers.push(() => child.kill("SIGKILL"));
    let said = "";
    child.stdout.on("data", (data: Buffer) => {
      said += data.toString();
    });
    await until(() => said !== "");
    let own = 0;
    const writing = (async () => {
      for (; child.exitCode === null && child.signalCode === null; own += 1)
        await write(one, `own ${own}`);
    })();
    await until(() => said.split("\n").length > 30);
    child.kill("SIGKILL");
    await once(child, "close");
    await writing;
    const confirmed = Number(said.trimEnd().split("\n").at(-1));
    const late = await start({}, all);
    const lines = seen(late, 50_000);
    expect(lines.map((line) => Number(line.split(" ")[0]))).toEqual(
      lines.map((_, index) => index + 1),
    );
    const theirs = lines
      .filter((line) => line.includes(" line "))
      .map((line) => line.split(" ")[2]);
    expect(theirs).toEqual(theirs.map((_, index) => String(index + 1)));
    expect(theirs.length % 10).toBe(0);
    expect(theirs.length).toBeGreaterThanOrEqual(confirmed);
    expect(lines.length - theirs.length).toBe(own);
    expect(seen(one, 50_000)).toEqual(lines);
  });
});
