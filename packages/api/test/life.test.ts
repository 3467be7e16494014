import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Harness } from "./support/harness.ts";

const harness = new Harness();
beforeAll(() => harness.start());
afterAll(() => harness.close());

describe("an app's life", () => {
  let id = "";

  test("is created with release v1 and its own hostname", async () => {
    const created = await harness.call("POST", "/apps", { name: "shop" });
    expect(created.status, created.text).toBe(201);
    id = created.json.id;
    expect(created.json).toMatchObject({
      name: "shop",
      web_url: "http://shop.apps.test/",
      git_url: "http://api.test/shop.git",
      maintenance: false,
      stack: { name: "heroku-24" },
      build_stack: { name: "heroku-24" },
      owner: { email: "admin@apps.test" },
    });
    const releases = await harness.call("GET", "/apps/shop/releases");
    expect(releases.json).toMatchObject([
      {
        version: 1,
        description: "Initial release",
        status: "succeeded",
        current: true,
        slug: null,
      },
    ]);
    expect(harness.routes.routes.get(id)).toMatchObject({
      hosts: ["shop.apps.test"],
      name: "shop",
      state: "blank",
    });
    expect((await harness.call("POST", "/apps", { name: "shop" })).json).toMatchObject({
      id: "invalid_params",
    });
  });

  test("a build becomes a slug, a release and one web dyno", async () => {
    const build = await harness.deploy("shop", { web: "node web.js", worker: "node worker.js" });
    expect(build).toMatchObject({ status: "succeeded" });
    const slug = await harness.call("GET", `/apps/shop/slugs/${build.slug.id}`);
    expect(slug.json).toMatchObject({
      process_types: { web: "node web.js", worker: "node worker.js" },
      commit: "abcdef1234",
    });
    const [, second] = (await harness.call("GET", "/apps/shop/releases")).json;
    expect(second).toMatchObject({
      version: 2,
      description: "Deploy abcdef12",
      current: true,
      slug: { id: build.slug.id },
    });
    const formation = (await harness.call("GET", "/apps/shop/formation")).json;
    expect(formation).toMatchObject([
      { type: "web", quantity: 1, size: "Standard-1X", command: "node web.js" },
      { type: "worker", quantity: 0 },
    ]);
    expect((await harness.call("GET", "/apps/shop/dynos")).json).toMatchObject([
      { name: "web.1", state: "up", type: "web", release: { version: 2 } },
    ]);
    const output = await harness.call("GET", build.output_stream_url, undefined, {}, null);
    expect(output.headers.get("content-type")).toContain("text/plain");
    expect(output.text).toContain("-----> Building\n");
    expect(output.text).toContain("Released v2");
    expect(harness.logplex.lines(id)).toContain(
      "app[api]: Release v2 created by user admin@apps.test",
    );
  });

  test("config vars make releases and reach the dynos, values never the logs", async () => {
    const set = await harness.call("PATCH", "/apps/shop/config-vars", { WORD: "s3cret-value" });
    expect(set.json).toEqual({ WORD: "s3cret-value" });
    expect(harness.manifold.formations.get(id)?.env).toEqual({ WORD: "s3cret-value" });
    const [release] = (
      await harness.call("GET", "/apps/shop/releases", undefined, {
        range: "version ..; order=desc,max=1",
      })
    ).json;
    expect(release).toMatchObject({ version: 3, description: "Set WORD config vars" });
    expect(harness.logplex.lines(id)).toContain(
      "app[api]: Set WORD config vars by user admin@apps.test",
    );
    expect(harness.logplex.lines(id).join("\n")).not.toContain("s3cret-value");
    expect((await harness.call("GET", "/apps/shop/releases/2/config-vars")).json).toEqual({});
    expect((await harness.call("GET", "/apps/shop/releases/v3/config-vars")).json).toEqual({
      WORD: "s3cret-value",
    });
  });

  test("scales with numbers, strings and signs", async () => {
    const patch = (updates: unknown) => harness.call("PATCH", "/apps/shop/formation", { updates });
    expect((await patch([{ type: "web", quantity: "3" }])).json[0].quantity).toBe(3);
    expect((await patch([{ type: "web", quantity: "-1" }])).json[0].quantity).toBe(2);
    expect(
      (await patch([{ type: "worker", quantity: "+1", size: "standard-2x" }])).json,
    ).toMatchObject([{ type: "worker", quantity: 1, size: "Standard-2X" }]);
    expect(harness.logplex.lines(id)).toContain(
      "app[api]: Scaled to web@2:Standard-1X worker@1:Standard-2X by user admin@apps.test",
    );
    expect((await patch([{ type: "web", quantity: "-9" }])).status).toBe(422);
    expect((await patch([{ type: "nope", quantity: 1 }])).status).toBe(404);
    expect(
      (
        await patch([
          { type: "web", quantity: 5 },
          { type: "nope", quantity: 1 },
        ])
      ).status,
    ).toBe(404);
    expect((await harness.call("GET", "/apps/shop/formation/web")).json.quantity).toBe(2);
    expect((await harness.call("GET", "/apps/shop/dynos")).json).toHaveLength(3);
  });

  test("a rollback restores code and config in a new release", async () => {
    await harness.deploy("shop", { web: "node other.js" });
    const rolled = await harness.call("POST", "/apps/shop/releases", { release: "v2" });
    expect(rolled.status, rolled.text).toBe(201);
    expect(rolled.json).toMatchObject({ version: 5, description: "Rollback to v2", current: true });
    expect(harness.manifold.formations.get(id)).toMatchObject({
      env: {},
      release: { version: 5 },
      processes: { web: { command: "node web.js", quantity: 2 }, worker: { quantity: 1 } },
    });
    const first = await harness.call("POST", "/apps/shop/releases", { release: 1 });
    expect(first.status).toBe(422);
  });

  test("a release command that fails leaves the old release current", async () => {
    harness.manifold.outcome = () => ({ exitCode: 3, output: "migrating\noops\n" });
    const build = await harness.deploy("shop", { web: "node new.js", release: "migrate" });
    const release = (await harness.call("GET", `/apps/shop/releases/${build.release.id}`)).json;
    expect(release).toMatchObject({ status: "failed", current: false, version: 6 });
    const output = await harness.call("GET", release.output_stream_url, undefined, {}, null);
    expect(output.text).toContain("migrating\noops\n");
    expect(harness.manifold.formations.get(id)?.processes["web"]?.command).toBe("node web.js");
    const lines = harness.logplex.lines(id);
    expect(lines).toContain("app[release.1001]: oops");
    expect(lines).toContain("app[api]: Release v6 command failed by user admin@apps.test");
    harness.manifold.outcome = () => ({ exitCode: 0 });
    await harness.deploy("shop", { web: "node new.js", release: "migrate" });
    expect(harness.manifold.formations.get(id)?.release.version).toBe(7);
  });

  test("domains, drains and log sessions", async () => {
    const domain = await harness.call("POST", "/apps/shop/domains", {
      hostname: "WWW.Example.com",
      sni_endpoint: null,
    });
    expect(domain.json).toMatchObject({
      hostname: "www.example.com",
      kind: "custom",
      status: "none",
    });
    expect(harness.routes.routes.get(id)?.hosts).toEqual(["shop.apps.test", "www.example.com"]);
    expect((await harness.call("DELETE", "/apps/shop/domains/www.example.com")).status).toBe(200);
    const url = "syslog+tls://user:pass@logs.example.com:6514/x?y=1";
    const drain = await harness.call("POST", "/apps/shop/log-drains", { url });
    expect(drain.status, drain.text).toBe(201);
    expect(drain.json.token).toMatch(/^d\.[0-9a-f-]{36}$/);
    const removed = await harness.call(
      "DELETE",
      `/apps/shop/log-drains/${encodeURIComponent(url)}`,
    );
    expect(removed.json.id).toBe(drain.json.id);
    const session = await harness.call("POST", "/apps/shop/log-sessions", {
      dyno: "web",
      tail: true,
      lines: 10,
    });
    expect(session.status).toBe(201);
    expect(session.json.logplex_url).toMatch(/^http:\/\/api\.test\/log-sessions\/\S+\?tail=true$/);
  });

  test("restarts, stops and runs", async () => {
    expect((await harness.call("DELETE", "/apps/shop/dynos")).status).toBe(202);
    expect((await harness.call("DELETE", "/apps/shop/dynos/web.1")).text).toBe("{}");
    expect((await harness.call("DELETE", "/apps/shop/formations/web")).status).toBe(202);
    expect((await harness.call("POST", "/apps/shop/dynos/web.1/actions/stop")).status).toBe(202);
    expect((await harness.call("POST", "/apps/shop/formations/web/actions/stop")).status).toBe(202);
    expect((await harness.call("DELETE", "/apps/shop/dynos/web.9")).json).toMatchObject({
      id: "not_found",
      resource: "dyno",
    });
    await harness.api.platform.settled();
    expect(harness.manifold.calls).toContainEqual(["stop", id, { type: "web" }]);
    const run = await harness.call("POST", "/apps/shop/dynos", {
      command: "web --once",
      env: { TERM: "xterm", COLUMNS: 80 },
      attach: false,
    });
    expect(run.json).toMatchObject({
      type: "run",
      command: "node new.js --once",
      attach_url: null,
    });
    expect(harness.manifold.oneOffs.at(-1)?.overrides).toEqual({ TERM: "xterm", COLUMNS: "80" });
  });

  test("survives a restart with everything applied again", async () => {
    const before = (await harness.call("GET", "/apps/shop/releases")).json;
    harness.manifold.formations.clear();
    await harness.restart();
    expect(harness.manifold.formations.get(id)?.processes["web"]?.quantity).toBe(2);
    expect((await harness.call("GET", "/apps/shop/releases")).json).toEqual(before);
    expect(harness.manifold.calls.at(-1)).toEqual(["sweep"]);
    expect(harness.builder.swept).toBe(2);
  });

  test("is destroyed with everything of it", async () => {
    expect((await harness.call("DELETE", "/apps/shop")).json.id).toBe(id);
    expect(harness.routes.routes.has(id)).toBe(false);
    expect(harness.manifold.ps(id)).toEqual([]);
    expect((await harness.call("GET", "/apps/shop")).json).toMatchObject({
      id: "not_found",
      resource: "app",
    });
  });
});
