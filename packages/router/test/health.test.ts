import { createServer } from "node:http";
import type { RouteEvent } from "@dynokit/router";
import { describe, expect, test } from "vitest";
import { exchange, get, rig } from "./support/harness.ts";
import { listening } from "./support/listening.ts";

async function app(name: string, state: { healthy: boolean; fails?: boolean }) {
  let checks = 0;
  const server = createServer((request, response) => {
    if (request.url === "/health") {
      checks++;
      response.writeHead(state.healthy ? 204 : 500).end();
    } else if (state.fails === true) request.socket.destroy();
    else response.end(name);
  });
  return { port: await listening(server), checks: () => checks };
}

describe("active checks", () => {
  const health = { path: "/health", intervalMs: 100 };

  test("a dyno that fails them gets no requests until it passes again", async () => {
    const state = { healthy: true };
    const sick = await app("sick", state);
    const well = await app("well", { healthy: true });
    const { port, routes, router } = await rig([sick.port, well.port], {
      health,
      balance: "round-robin",
    });
    const events: string[] = [];
    routes.on("route", (event: RouteEvent) =>
      events.push(`${event.type} ${(event as never as { dyno?: string }).dyno ?? ""}`),
    );
    const names = async () => {
      const seen = new Set<string>();
      for (let i = 0; i < 6; i++)
        seen.add(/(sick|well)$/.exec(await exchange(port, get()))?.[0] ?? "none");
      return [...seen].sort();
    };
    expect(await names()).toEqual(["sick", "well"]);
    state.healthy = false;
    await expect.poll(() => events, { timeout: 10_000 }).toContain("unhealthy web.1");
    expect(await names()).toEqual(["well"]);
    state.healthy = true;
    await expect.poll(() => events, { timeout: 10_000 }).toContain("healthy web.1");
    expect(await names()).toEqual(["sick", "well"]);
    routes.patch("app", { health: { ...health, path: "/else" } });
    await router.close({ drainMs: 0 });
    expect(router.inspect().timers).toBe(0);
  });

  test("when all fail them, requests go on", async () => {
    const one = await app("one", { healthy: false });
    const two = await app("two", { healthy: false });
    const { port, routes } = await rig([one.port, two.port], { health });
    let out = 0;
    routes.on("route", (event: RouteEvent) => {
      if (event.type === "unhealthy") out++;
    });
    await expect.poll(() => out, { timeout: 10_000 }).toBe(2);
    expect(await exchange(port, get())).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe("canary", () => {
  const backend = (port: number, version: number) => ({
    dyno: `web.${version}`,
    address: { host: "127.0.0.1", port },
    release: { id: `r${version}`, version },
  });

  test("a release gets its share, whatever the number of its dynos", async () => {
    const old = await app("old", { healthy: true });
    const fresh = await app("fresh", { healthy: true });
    let at = 0;
    const { port } = await rig(
      [],
      {
        backends: [backend(old.port, 41), backend(fresh.port, 42)],
        canary: { version: 42, share: 0.1 },
      },
      { random: () => (at++ % 100) / 100 },
    );
    let count = 0;
    for (let i = 0; i < 100; i++) if ((await exchange(port, get())).endsWith("fresh")) count++;
    expect(count).toBe(10);
  });

  test("a release that fails more than the others ends its share, and that is told once", async () => {
    const old = await app("old", { healthy: true });
    const bad = await app("bad", { healthy: true, fails: true });
    const { port, routes } = await rig([], {
      backends: [backend(old.port, 41), backend(bad.port, 42)],
      canary: { version: 42, share: 0.5, abortAbove: 0.1, minRequests: 4 },
    });
    const aborted: RouteEvent[] = [];
    routes.on("route", (event: RouteEvent) => {
      if (event.type === "canary-aborted") aborted.push(event);
    });
    for (let i = 0; i < 400 && aborted.length === 0; i++) await exchange(port, get());
    expect(aborted).toEqual([
      { type: "canary-aborted", app: "app", version: 42, canaryRate: 1, otherRate: 0 },
    ]);
    for (let i = 0; i < 20; i++) expect(await exchange(port, get())).toMatch(/old$/);
    expect(aborted).toHaveLength(1);
  });
});
