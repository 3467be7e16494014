import { type DynoEventLike, type DynoSource, RouteTable, redisSync } from "@dynokit/router";
import { EventEmitter } from "eventemitter3";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { FakeClock, get, RawClient, rawBackend, rig } from "./support/harness.ts";
import { describeRedis, door, redisPlace, until } from "./support/redis.ts";

type Place = ReturnType<typeof redisPlace>;

/** A table of one machine; closed at the end of the test. */
function machine(place: Place, options: Parameters<Place["sync"]>[1] = {}, client = place.io()) {
  const table = new RouteTable({ sync: place.sync(client, options) });
  onTestFinished(() => table.close());
  return table;
}

const up = (id: string, port: number) => ({
  id,
  dyno: id,
  state: "up" as const,
  address: { host: "127.0.0.1", port },
});

const facts = (table: RouteTable) =>
  table
    .snapshot()
    .apps.map(({ app, options, backends }) => {
      const { backends: _given, ...settings } = options;
      return { app, settings, backends: [...backends].sort((a, b) => (a.id < b.id ? -1 : 1)) };
    })
    .sort((a, b) => (a.app < b.app ? -1 : 1));

test("redisSync refuses a cluster's client and settings that make no sense", () => {
  const client = { isCluster: true, call: async () => 0 } as never;
  expect(() => redisSync(client)).toThrow(/Redis Cluster/);
  expect(() => redisSync({} as never, { checkMs: 1 })).toThrow(/checkMs 1; give/);
  expect(() => redisSync({} as never, { prefix: "" })).toThrow(/prefix ""/);
});

test("an app that is known by its dynos alone goes with the last of them", () => {
  const table = new RouteTable();
  table.setBackend("shop", up("d1", 1));
  table.setBackend("shop", up("d2", 2));
  table.setBackend("shop", { ...up("d1", 1), state: "gone" });
  expect(table.get("shop")?.backends.size).toBe(1);
  table.setBackend("shop", { ...up("d2", 2), state: "gone" });
  expect(table.get("shop")).toBeUndefined();
  table.set("shop", { hosts: ["shop.test"] });
  table.setBackend("shop", up("d3", 3));
  table.setBackend("shop", { ...up("d3", 3), state: "gone" });
  expect(table.resolve("shop.test")?.app.backends.size).toBe(0);
});

describeRedis("a table shared over Redis", () => {
  for (const library of ["io", "node"] as const)
    test(`a change is everywhere, and who joins later gets it all (${library})`, async () => {
      const place = redisPlace();
      const a = machine(place, {}, place[library]());
      const b = machine(place, {}, place[library]());
      a.set("shop", {
        hosts: ["shop.test"],
        backends: [{ address: { host: "10.0.0.1", port: 1 } }],
      });
      await until(b, () => b.resolve("shop.test") !== undefined);
      b.setBackend("shop", up("d1", 2));
      b.patch("shop", { maintenance: true });
      await until(a, () => a.record("shop")?.options.maintenance === true);
      expect(a.record("shop")?.backends.map(({ id }) => id)).toEqual(["10.0.0.1:1", "d1"]);
      const late = machine(place, {}, place[library]());
      await until(late, () => late.get("shop") !== undefined);
      expect(facts(late)).toEqual(facts(a));

      // What was set by hand is still replaced as a whole, whoever does it.
      late.set("shop", { hosts: ["shop.test"] });
      await until(a, () => a.record("shop")?.backends.length === 1);
      b.delete("shop");
      await until(a, () => a.get("shop") === undefined);
      await until(late, () => late.get("shop") === undefined);
      expect(await place.admin.hlen(place.prefix)).toBe(0);
    });

  test("changes of two machines to one app at once are joined", async () => {
    const place = redisPlace();
    const a = machine(place);
    const b = machine(place);
    a.set("shop", { hosts: ["shop.test"] });
    await until(b, () => b.get("shop") !== undefined);
    a.patch("shop", { maintenance: true });
    b.setBackend("shop", up("d1", 1));
    b.setBackend("shop", up("d2", 2));
    a.setBackend("shop", up("d3", 3));
    const all = (table: RouteTable) => () =>
      table.record("shop")?.backends.length === 3 &&
      table.record("shop")?.options.maintenance === true;
    await until(a, all(a));
    await until(b, all(b));
    expect(facts(a)).toEqual(facts(b));
  });

  test("a dyno that comes up first does not undo its app's settings", async () => {
    const place = redisPlace();
    const a = machine(place);
    const b = machine(place);
    a.set("shop", { hosts: ["shop.test"] });
    b.setBackend("shop", up("d1", 1));
    for (const table of [a, b]) {
      await until(table, () => table.get("shop")?.backends.size === 1);
      await until(table, () => table.resolve("shop.test") !== undefined);
    }
  });

  test("a host that moves from one app to another moves everywhere, also for who was away", async () => {
    const place = redisPlace();
    const gate = await door();
    const a = machine(place);
    const b = machine(place);
    const away = machine(place, {}, gate.client);
    a.set("old", { hosts: ["shop.test"] });
    a.set("an", { hosts: ["other.test"] });
    await until(b, () => b.get("an") !== undefined);
    await until(away, () => away.get("an") !== undefined);
    gate.cut();
    a.set("old", { hosts: ["old.test"] });
    a.set("an", { hosts: ["shop.test"] });
    await until(b, () => b.resolve("shop.test")?.app.id === "an");
    expect(b.resolve("other.test")).toBeUndefined();
    gate.reopen();
    await until(away, () => away.resolve("old.test")?.app.id === "old");
    await until(away, () => away.resolve("shop.test")?.app.id === "an");
    expect(away.size).toBe(2);
  });

  test("whatever three machines do, they end up with one table", async () => {
    const place = redisPlace();
    const tables = [machine(place), machine(place), machine(place)];
    const step = fc.record({
      who: fc.nat(2),
      app: fc.constantFrom("a", "b", "c"),
      what: fc.oneof(
        fc.record({ state: fc.constantFrom("up", "booting", "gone"), id: fc.nat(3) }),
        fc.record({ maintenance: fc.boolean() }),
        fc.constant("delete"),
        fc.constant("pause"),
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        for (const { who, app, what } of steps) {
          const table = tables[who] as RouteTable;
          if (what === "delete") table.delete(app);
          else if (what === "pause") await place.admin.ping();
          else if ("maintenance" in what)
            table.set(app, { hosts: [`${app}.test`], maintenance: what.maintenance });
          else
            table.setBackend(app, {
              ...up(`${app}${what.id}`, 1 + what.id),
              state: what.state as "up",
            });
        }
        // An app of its own from each is behind everything that came before it.
        for (const [at, table] of tables.entries()) {
          table.set(`end${at}`, { timeouts: { connectMs: 1 + Math.floor(Math.random() * 9999) } });
          const wanted = JSON.stringify(table.record(`end${at}`)?.options);
          for (const other of tables)
            await until(other, () => JSON.stringify(other.record(`end${at}`)?.options) === wanted);
        }
        expect(facts(tables[1] as RouteTable)).toEqual(facts(tables[0] as RouteTable));
        expect(facts(tables[2] as RouteTable)).toEqual(facts(tables[0] as RouteTable));
      }),
      { numRuns: 200 },
    );
  });

  test("while Redis is away each goes on with what it knows; then all are told", async () => {
    const place = redisPlace();
    const gate = await door();
    const a = machine(place, {}, gate.client);
    const b = machine(place);
    a.set("shop", { hosts: ["shop.test"] });
    await until(b, () => b.get("shop") !== undefined);
    gate.cut();
    a.setBackend("shop", up("d1", 1));
    b.set("blog", { hosts: ["blog.test"] });
    expect(a.resolve("shop.test")?.app.backends.size).toBe(1);
    gate.reopen();
    await until(b, () => b.get("shop")?.backends.size === 1);
    await until(a, () => a.resolve("blog.test") !== undefined);
  });

  test("a Redis that lost the table is filled again", async () => {
    const place = redisPlace();
    const a = machine(place, { checkMs: 20 });
    const b = machine(place, { checkMs: 20 });
    a.set("shop", { hosts: ["shop.test"] });
    b.setBackend("shop", up("d1", 1));
    await until(a, () => a.get("shop")?.backends.size === 1);
    await until(b, () => b.resolve("shop.test") !== undefined);
    await place.admin.del(place.prefix, `${place.prefix}:version`, `${place.prefix}:era`);
    // Somebody may write before anybody saw it.
    a.patch("shop", { maintenance: true });
    await until(b, () => b.record("shop")?.options.maintenance === true);
    const late = machine(place);
    await until(late, () => late.get("shop")?.backends.size === 1);
    await until(late, () => late.record("shop")?.options.maintenance === true);
    expect(facts(late)).toEqual(facts(b));
  });

  test("a message that got lost is noticed", async () => {
    const place = redisPlace();
    const a = machine(place, { checkMs: 20 });
    a.set("shop", {});
    await until(a, () => a.get("shop") !== undefined);
    await place.admin
      .multi()
      .hset(place.prefix, "quiet", '{"hosts":["quiet.test"]}')
      .incr(`${place.prefix}:version`)
      .exec();
    await until(a, () => a.resolve("quiet.test") !== undefined);
  });

  test("what can't be used is told, and harms nothing else", async () => {
    const place = redisPlace();
    const errors: string[] = [];
    const a = machine(place, { onError: (error) => errors.push((error as Error).message) });
    const b = machine(place);
    b.set("good", { hosts: ["good.test"] });
    await until(a, () => a.get("good") !== undefined);
    await place.admin.publish(place.prefix, "0 {broken");
    await place.admin.hset(place.prefix, { bad: '{"hosts":["no host"]}', worse: "{", fine: "{}" });
    await place.admin.incr(`${place.prefix}:version`);
    b.patch("good", { maintenance: true });
    await until(a, () => a.record("good")?.options.maintenance === true);
    await until(a, () => a.get("fine") !== undefined);
    expect(errors).toHaveLength(3);
    expect(a.get("bad")).toBeUndefined();
    expect(a.get("worse")).toBeUndefined();
  });

  test("a drain waits for the requests on other machines", async () => {
    const place = redisPlace();
    let answer = () => {};
    const asked = deferred<void>();
    const backend = await rawBackend((socket) => {
      answer = () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
      asked.resolve();
    });
    const a = machine(place);
    const b = machine(place);
    const { port } = await rig([], {}, { routes: b });
    a.set("app", { hosts: ["app.test"] });
    a.setBackend("app", up("d1", backend.port));
    await until(b, () => b.get("app")?.backends.get("d1")?.state === "up");
    const client = new RawClient(port).write(get("/"));
    await asked.promise;
    const order: string[] = [];
    const drained = a.drain("app", "d1").then(({ completed }) => {
      order.push(`drained ${completed}`);
    });
    await until(b, () => b.get("app")?.backends.get("d1")?.state === "draining");
    order.push("answer");
    answer();
    expect(await client.until(/hi$/)).toMatch(/^HTTP\/1.1 200/);
    await drained;
    expect(order).toEqual(["answer", "drained true"]);
  });

  test("a drain that another machine does not finish ends with its time", async () => {
    const place = redisPlace();
    const a = machine(place);
    const b = machine(place);
    a.setBackend("app", up("d1", 1));
    await until(b, () => b.get("app") !== undefined);
    b.get("app")?.backends.get("d1")?.checkout();
    expect(await a.drain("app", "d1", { timeoutMs: 100 })).toEqual({ completed: false });
  });

  test("a request for a sleeping app wakes it on the machine that can", async () => {
    const place = redisPlace();
    const woken = deferred<string>();
    const owner = new RouteTable({ sync: place.sync(place.io()), onDemand: woken.resolve });
    onTestFinished(() => owner.close());
    const b = machine(place);
    const { port } = await rig([], {}, { routes: b });
    owner.set("app", { hosts: ["app.test"], wake: true });
    owner.setBackend("app", { ...up("d1", 1), state: "sleeping" });
    await until(b, () => b.get("app")?.backends.size === 1);
    const client = new RawClient(port).write(get("/"));
    expect(await woken.promise).toBe("app");
    client.socket.destroy();
  });

  test("a successor takes out what its predecessor's dynos left", async () => {
    const place = redisPlace();
    const before = machine(place);
    before.set("shop", { hosts: ["shop.test"], backends: [{ address: { host: "h", port: 1 } }] });
    for (const id of ["lost", "found"]) before.setBackend("shop", up(id, 1));
    const clock = new FakeClock();
    const after = new RouteTable({ sync: place.sync(place.io()), clock });
    onTestFinished(() => after.close());
    await until(after, () => after.get("shop")?.backends.size === 3);
    const dynos = [{ ...event("found"), state: "up" }];
    const manifold = Object.assign(new EventEmitter(), {
      ps: () => dynos,
    }) as unknown as DynoSource & EventEmitter;
    after.follow(manifold);
    manifold.emit("dyno", event("new"));
    dynos.push({ ...event("new"), state: "up" });
    clock.advance(14_999);
    expect(after.get("shop")?.backends.size).toBe(4);
    clock.advance(1);
    const left = () => [...(before.get("shop")?.backends.keys() ?? [])].sort().join();
    await until(before, () => left() === "found,h:1,new");
  });

  test("close() tells the last change and leaves no connection", async () => {
    const place = redisPlace();
    const name = `closing-${Date.now()}`;
    const b = machine(place);
    const client = place.io({ connectionName: name, lazyConnect: true });
    const a = new RouteTable({ sync: place.sync(client) });
    a.set("shop", { hosts: ["shop.test"] });
    await until(b, () => b.get("shop") !== undefined);
    a.delete("shop");
    const closed: Promise<void> = a.close();
    await closed;
    await until(b, () => b.get("shop") === undefined);
    const connections = async () =>
      String(await place.admin.client("LIST")).includes(`name=${name}`);
    await expect.poll(connections, { timeout: 10_000 }).toBe(false);
    a.set("shop", { hosts: ["shop.test"] });
  });
});

function deferred<T>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function event(id: string): DynoEventLike {
  return {
    app: "shop",
    dyno: `web.${id}`,
    id,
    type: "web",
    to: "up",
    at: 0,
    address: { host: "127.0.0.1", port: 9 },
  };
}
