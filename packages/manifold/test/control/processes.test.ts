import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DynoAddress, type DynoEvent, Manifold, processDriver } from "@dynokit/manifold";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formation, process as web } from "../support/harness.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "manifold-"));
  writeFileSync(
    join(directory, "server.js"),
    `const server = require("node:http").createServer((q, r) => setTimeout(() => r.end(process.env.HEROKU_RELEASE_VERSION), 20));
     server.listen(process.env.PORT, "127.0.0.1", () => console.log("listening"));
     process.on("SIGTERM", () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });`,
  );
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A router of a few lines: the addresses that are up, and what is in flight to each. */
class Routes {
  readonly up = new Map<string, DynoAddress>();
  readonly inFlight = new Map<string, number>();
  readonly #waiting: { readonly id: string; readonly resolve: () => void }[] = [];

  follow(manifold: Manifold): void {
    manifold.on("dyno", ({ id, to, address }: DynoEvent) => {
      if (to === "up" && address) this.up.set(id, address);
      else this.up.delete(id);
    });
    manifold.onDrain(({ id }) =>
      this.inFlight.get(id)
        ? new Promise((resolve) => this.#waiting.push({ id, resolve }))
        : Promise.resolve(),
    );
  }

  async get(): Promise<string> {
    const [id, address] = [...this.up][Math.floor(Math.random() * this.up.size)] ?? [];
    if (id === undefined || !address) throw new Error("no dyno is up");
    this.inFlight.set(id, (this.inFlight.get(id) ?? 0) + 1);
    try {
      return await new Promise((resolve, reject) => {
        const target =
          "port" in address
            ? { host: address.host, port: address.port }
            : { socketPath: address.socketPath };
        const outgoing = request({ ...target, agent: false }, (incoming) => {
          let body = "";
          incoming.on("data", (chunk) => {
            body += chunk;
          });
          incoming.on("end", () => resolve(body));
        });
        outgoing.on("error", reject).end();
      });
    } finally {
      const left = (this.inFlight.get(id) ?? 1) - 1;
      this.inFlight.set(id, left);
      if (left === 0) {
        for (const one of this.#waiting.filter((entry) => entry.id === id)) one.resolve();
      }
    }
  }
}

describe("with real processes", () => {
  test("no request fails during releases, and every answer is of a release that was up", async () => {
    const manifold = new Manifold({
      driver: processDriver({ stateDirectory: join(directory, "state") }),
    });
    const routes = new Routes();
    routes.follow(manifold);
    const at = (version: number) =>
      formation(
        version,
        { web: web(2, { command: "node server.js" }) },
        { cwd: directory, env: { PATH: process.env["PATH"] ?? "" } },
      );
    expect(await (await manifold.apply(at(1))).done).toEqual({ status: "succeeded" });
    const seen = new Set<string>();
    const failures: unknown[] = [];
    let over = false;
    const load = async () => {
      while (!over) {
        try {
          seen.add(await routes.get());
        } catch (error) {
          failures.push(error);
        }
      }
    };
    const clients = Array.from({ length: 4 }, load);
    for (const version of [2, 3, 4]) {
      expect(await (await manifold.apply(at(version))).done).toEqual({ status: "succeeded" });
    }
    // Answers of the last release prove that the load went on after it.
    while (!seen.has("v4") && failures.length === 0)
      await new Promise((next) => setImmediate(next));
    over = true;
    await Promise.all(clients);
    expect(failures).toEqual([]);
    expect([...seen].sort()).toEqual(["v1", "v2", "v3", "v4"]);
    await manifold.close();
  });

  test("a crash is followed by a start, a removal by no process", async () => {
    const manifold = new Manifold({
      driver: processDriver({ stateDirectory: join(directory, "state-2") }),
      policy: "local",
    });
    const exits: DynoEvent[] = [];
    manifold.on("dyno", (event) => {
      if (event.exit) exits.push(event);
    });
    const up = (times: number) =>
      new Promise<void>((resolve) => {
        let count = 0;
        manifold.on("dyno", ({ to }) => {
          if (to === "up" && ++count === times) resolve();
        });
      });
    const second = up(2);
    await manifold.apply(
      formation(
        1,
        { job: web(1, { command: "sleep 0.2; exit 3" }) },
        { cwd: directory, env: { PATH: process.env["PATH"] ?? "" } },
      ),
    );
    await second;
    expect(exits[0]).toMatchObject({ from: "up", to: "crashed", exit: { exitCode: 3 } });
    await manifold.remove("app-1");
    expect(manifold.ps()).toEqual([]);
    await manifold.close();
  });

  test("what a command prints that is over at once reaches its client, with the status", async () => {
    const manifold = new Manifold({
      driver: processDriver({ stateDirectory: join(directory, "state-3") }),
    });
    const results = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        const session = await manifold.run({
          app: "app-1",
          command: `echo word ${index}; exit 3`,
          release: { id: "release-1", version: 1 },
          env: { PATH: process.env["PATH"] ?? "" },
          cwd: directory,
          attach: true,
        });
        const streams = await session.open();
        let output = "";
        for await (const { bytes } of streams.output) output += new TextDecoder().decode(bytes);
        return [output, (await streams.wait()).exitCode, (await session.wait()).exitCode];
      }),
    );
    expect(results).toEqual(results.map((_, index) => [`word ${index}\n`, 3, 3]));
    await manifold.close();
  });
});
