import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { describe, expect, test } from "vitest";
import { type Lease, postgresLease, redisLease } from "../../src/index.ts";
import { leaseBeatMs, leaseTtlMs } from "../../src/lease/lease.ts";
import { openProxy } from "./support/proxy.ts";
import { redisCommander } from "./support/redis.ts";

// Not the package's entry: the conditions of the test runner load its pool as an ES module, which it is not made for.
const Client = createRequire(import.meta.url)("pg/lib/client.js") as typeof pg.Client;
const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/);
const program = fileURLToPath(new URL("./fixtures/contender.ts", import.meta.url));

interface Store {
  /** Host and port, or the path of a socket. */
  readonly place: { host: string; port: number } | string;
  /** Database or key of this run. */
  readonly name: string;
  readonly lease: () => Lease;
  readonly remove: () => Promise<void>;
}

/** A store that is empty and this run's own. */
async function openPostgres(url: string): Promise<Store> {
  const name = `dynokit_lease_${process.pid}_${Math.random().toString(36).slice(2, 8)}`;
  const admin = new Client({ connectionString: url });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  const { hostname, port, username } = new URL(url);
  const client = new Client({
    host: hostname,
    port: Number(port),
    user: username,
    database: name,
  });
  await client.connect();
  return {
    place: { host: hostname, port: Number(port) },
    name,
    lease: () => postgresLease(client),
    async remove() {
      await client.end();
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.end();
    },
  };
}

async function openRedis(place: string): Promise<Store> {
  const name = `dynokit:lease:${process.pid}:${Math.random().toString(36).slice(2, 8)}`;
  const client = redisCommander(place);
  return {
    place,
    name,
    lease: () => redisLease(client, { key: name }),
    async remove() {
      await client.sendCommand(["DEL", name]);
    },
  };
}

interface Message {
  readonly leads?: true;
  readonly up?: readonly string[];
  readonly info?: string;
  readonly dyno?: string;
  readonly to?: string;
}

/** A manifold in a process of its own, behind a way to the store of its own. */
class Contender {
  readonly messages: Message[] = [];
  readonly child: ChildProcess;
  readonly proxy: Awaited<ReturnType<typeof openProxy>>;
  readonly #waiting = new Set<() => void>();

  constructor(child: ChildProcess, proxy: Contender["proxy"]) {
    this.child = child;
    this.proxy = proxy;
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.messages.push(JSON.parse(line) as Message);
      for (const wake of this.#waiting) wake();
      this.#waiting.clear();
    });
  }

  static async start(engine: string, store: Store, stateDirectory: string): Promise<Contender> {
    const proxy = await openProxy(store.place);
    const child = spawn(
      process.execPath,
      [
        "--conditions=@dynokit/source",
        "--import",
        "tsx",
        program,
        engine,
        String(proxy.port),
        store.name,
        stateDirectory,
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    return new Contender(child, proxy);
  }

  /** The first message after `from` that fits. */
  async said(fits: (message: Message) => boolean, from = 0): Promise<Message> {
    for (;;) {
      const found = this.messages.slice(from).find(fits);
      if (found) return found;
      await new Promise<void>((done) => this.#waiting.add(done));
    }
  }

  async end(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill("SIGCONT");
      this.child.kill("SIGKILL");
      await once(this.child, "exit");
    }
    await this.proxy.close();
  }
}

/** PID and start time of every dyno whose process is there. */
function processesOf(stateDirectory: string): string[] {
  return readdirSync(stateDirectory)
    .filter((name) => existsSync(join(stateDirectory, name, "status.json")))
    .map((name) => JSON.parse(readFileSync(join(stateDirectory, name, "status.json"), "utf8")))
    .filter(({ state, pid }) => state === "running" && existsSync(`/proc/${pid}`))
    .map(({ pid, startTime }) => `${pid} ${startTime}`)
    .sort();
}

const engines = [
  ["postgres", process.env["DYNOKIT_TEST_POSTGRES"], openPostgres],
  ["redis", process.env["DYNOKIT_TEST_REDIS"], openRedis],
] as const;

for (const [engine, address, open] of engines) {
  if (!address && required.includes(engine)) {
    test(`a lease on ${engine} is tested`, () => {
      throw new Error(`${engine} is required, but DYNOKIT_TEST_${engine.toUpperCase()} is not set`);
    });
  }
  const skipped = address
    ? ""
    : ` (skipped: no ${engine}, DYNOKIT_TEST_${engine.toUpperCase()} unset)`;
  describe.skipIf(!address).concurrent(`a lease on ${engine}${skipped}`, () => {
    test("has one holder of many that ask at once, and runs out by the store's clock", async () => {
      const store = await open(address as string);
      try {
        const leases = Array.from({ length: 8 }, store.lease);
        const got = await Promise.all(leases.map((lease, at) => lease.acquire(`h${at}`, 60_000)));
        expect(got.filter(Boolean)).toHaveLength(1);
        const holder = got.indexOf(true);
        expect(await leases[holder]?.acquire(`h${holder}`, 60_000)).toBe(true);
        expect(await leases[holder]?.renew(`h${holder}`, 1)).toBe(true);
        const other = `h${(holder + 1) % 8}`;
        const lease = store.lease();
        while (!(await lease.acquire(other, 60_000))) {
          // The time is the store's: it is asked until the millisecond is over.
        }
        expect(await lease.renew(`h${holder}`, 60_000)).toBe(false);
        await lease.release(`h${holder}`);
        expect(await lease.renew(other, 60_000)).toBe(true);
        await lease.release(other);
        expect(await lease.acquire("next", 60_000)).toBe(true);
      } finally {
        await store.remove();
      }
    });

    test("of three manifolds one acts; a stop, a kill and a cut each make another take over", {
      timeout: 120_000,
    }, async () => {
      const store = await open(address as string);
      const stateDirectory = mkdtempSync(join(tmpdir(), "dynokit-lease-"));
      const all: Contender[] = [];
      try {
        for (let at = 0; at < 3; at++)
          all.push(await Contender.start(engine, store, stateDirectory));
        const nextLeader = async (from: readonly number[]) => {
          const leader = await Promise.race(
            all.map(async (one, at) => {
              await one.said(({ leads }) => leads === true, from[at] ?? 0);
              return one;
            }),
          );
          const { up } = await leader.said(
            ({ up: ids }) => ids !== undefined,
            from[all.indexOf(leader)] ?? 0,
          );
          return { leader, up };
        };
        const now = () => all.map(({ messages }) => messages.length);

        const first = await nextLeader([]);
        const processes = processesOf(stateDirectory);
        expect(processes).toHaveLength(2);
        expect(all.flatMap(({ messages }) => messages.filter((one) => one.leads))).toHaveLength(1);

        // Stopped for longer than the lease lasts.
        let before = now();
        let from = Date.now();
        first.leader.child.kill("SIGSTOP");
        const second = await nextLeader(before);
        const took = [Date.now() - from];
        expect(second.leader).not.toBe(first.leader);
        expect(second.up?.toSorted()).toEqual(first.up?.toSorted());
        first.leader.child.kill("SIGCONT");
        await first.leader.said(({ info }) => info?.startsWith("lease lost") === true);
        expect(processesOf(stateDirectory)).toEqual(processes);

        before = now();
        from = Date.now();
        second.leader.child.kill("SIGKILL");
        const third = await nextLeader(before);
        took.push(Date.now() - from);
        expect(third.up?.toSorted()).toEqual(first.up?.toSorted());

        before = now();
        from = Date.now();
        third.leader.proxy.cut();
        const fourth = await nextLeader(before);
        took.push(Date.now() - from);
        expect(fourth.leader).not.toBe(third.leader);
        await third.leader.said(({ info }) => info?.startsWith("lease lost") === true);

        // The same processes through it all, and no word of an end from anyone.
        expect(processesOf(stateDirectory)).toEqual(processes);
        const ends = all.flatMap(({ messages }) =>
          messages.filter(({ to }) => to === "crashed" || to === "stopping" || to === "down"),
        );
        expect(ends).toEqual([]);
        // The lease may have been renewed just before; the rest is the machine's.
        for (const ms of took) expect(ms).toBeLessThan(5 * (leaseTtlMs + leaseBeatMs));

        // Closed, it ends its dynos as the holder that it is.
        fourth.leader.child.kill("SIGTERM");
        await once(fourth.leader.child, "exit");
        expect(processesOf(stateDirectory)).toEqual([]);
        process.stdout.write(`lease on ${engine}: taken over after ${took.join(", ")} ms\n`);
      } finally {
        for (const one of all) await one.end();
        const { processDriver } = await import("../../src/index.ts");
        const driver = processDriver({ stateDirectory });
        for (const { id } of await driver.list()) await driver.destroy(id, { force: true });
        await driver.close();
        rmSync(stateDirectory, { recursive: true, force: true });
        await store.remove();
      }
    });
  });
}
