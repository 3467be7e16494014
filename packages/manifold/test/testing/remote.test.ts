import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DynoDriver, type DynoEvent, Manifold } from "../../src/index.ts";
import { describeDriver } from "../../src/testing/index.ts";
import { remoteDriver } from "./support/remote/driver.ts";

const NODE = "127.0.0.2";
const engineFile = fileURLToPath(new URL("./support/remote/engine.ts", import.meta.url));
const tsx = fileURLToPath(import.meta.resolve("tsx/cli"));

let engine: ChildProcess;
let port = 0;
// What a registry of slugs would be: the engine fetches from it.
const slugs = new Map<string, Uint8Array>();
const store = createServer((request, response) => response.end(slugs.get(request.url ?? "")));

beforeAll(async () => {
  store.listen(0, "127.0.0.1");
  await once(store, "listening");
  engine = spawn(process.execPath, [tsx, "--conditions=@dynokit/source", engineFile], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [first] = await once(engine.stdout as NodeJS.ReadableStream, "data");
  port = Number(String(first));
});

afterAll(async () => {
  store.close();
  const gone = once(engine, "exit");
  engine.stdin?.end();
  await gone;
});

const make = (): DynoDriver => remoteDriver({ port, node: NODE });

async function ask(path: string, body: object): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${port}/${path}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  return ((await response.json()) as { value: unknown }).value;
}

describeDriver(make, {
  name: "a driver of tasks elsewhere",
  expect: { recover: "running-and-results", exec: true, attach: true, tty: true, stats: true },
  code: ["slug"],
  publish(archive) {
    const path = `/${slugs.size}.tgz`;
    slugs.set(path, archive);
    return `http://127.0.0.1:${(store.address() as AddressInfo).port}${path}`;
  },
  observe: async (word) => (await ask("observe", { word })) as number,
  listLagMs: 1_000,
  granularity: 500,
  cycles: 10,
  parallel: 20,
  steps: 40,
  describe,
  it,
});

describe("a manifold over tasks elsewhere", () => {
  it("brings dynos up at the address of their node, and takes them back after a restart", async () => {
    const formation = {
      app: "shop",
      release: { id: "r1", version: 1 },
      env: { PATH: process.env["PATH"] ?? "" },
      processes: {
        web: {
          command: `exec node -e 'require("http").createServer((q, s) => s.end(process.env.DYNO)).listen(process.env.PORT)'`,
          quantity: 2,
        },
      },
    };
    const addresses = new Map<string, DynoEvent["address"]>();
    const first = new Manifold({ driver: make() });
    first.on("dyno", ({ to, id, address }) => to === "up" && addresses.set(id, address));
    const rollout = await first.apply(formation);
    expect(await rollout.done).toEqual({ status: "succeeded" });
    for (const address of addresses.values()) {
      expect(address).toMatchObject({ host: NODE });
      const { port: at } = address as { readonly port: number };
      expect(await (await fetch(`http://${NODE}:${at}/`)).text()).toMatch(/^web\.[12]$/);
    }
    const before = first.ps().map(({ id }) => id);
    await first.close({ leaveDynos: true });

    const second = new Manifold({ driver: make() });
    try {
      const again = await second.apply(formation);
      expect(await again.done).toEqual({ status: "succeeded" });
      expect(new Set(second.ps().map(({ id }) => id))).toEqual(new Set(before));
    } finally {
      await second.close({ leaveDynos: false });
    }
  });
});
