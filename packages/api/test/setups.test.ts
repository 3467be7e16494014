import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Harness } from "./support/harness.ts";

const harness = new Harness();
beforeAll(() => harness.start());
afterAll(() => harness.close());

/** Uploads process types, and an `app.json` if there is one, as "source". */
async function source(types: Record<string, string>, manifest?: unknown): Promise<string> {
  const { source_blob: blob } = (await harness.call("POST", "/sources")).json;
  const text = typeof manifest === "string" ? manifest : JSON.stringify(manifest);
  const files = manifest === undefined ? types : { ...types, "app.json": text };
  const put = await harness.call("PUT", blob.put_url, JSON.stringify(files), {}, null);
  expect(put.status).toBe(200);
  return blob.get_url;
}

async function setUp(url: string, more: object = {}) {
  const made = await harness.call("POST", "/app-setups", { source_blob: { url }, ...more });
  expect(made.status, made.text).toBe(201);
  await harness.api.platform.settled();
  return (await harness.call("GET", `/app-setups/${made.json.id}`)).json;
}

const status = async (path: string) => (await harness.call("GET", path)).status;

describe("an app that sets itself up", () => {
  test("gets config, buildpacks, stack and formation before its first build", async () => {
    const url = await source(
      { web: "node web.js", worker: "node worker.js" },
      {
        name: "Shop",
        description: "not looked at",
        env: {
          PLAIN: "a",
          GIVEN: { description: "from outside" },
          REPLACED: { value: "theirs" },
          SECRET: { generator: "secret" },
          FLAG: { value: true },
          LATER: { required: false },
        },
        buildpacks: [{ url: "https://b.example.test/x.tgz" }],
        stack: "heroku-22",
        formation: { worker: { quantity: 2, size: "standard-2x" } },
        scripts: { postdeploy: "worker --once" },
        success_url: "/welcome",
        environments: { test: {} },
      },
    );
    harness.manifold.outcome = (command) => ({ exitCode: 0, output: `ran ${command}\n` });
    const begun = await harness.call("POST", "/app-setups", {
      source_blob: { url, version: "abcdef123456" },
      app: { name: "set-up", personal: true },
      overrides: { env: { GIVEN: "g", REPLACED: "mine", EXTRA: "e" } },
    });
    expect(begun.json).toMatchObject({
      app: { name: "set-up" },
      status: "pending",
      build: null,
      postdeploy: null,
      failure_message: null,
      manifest_errors: [],
    });
    await harness.api.platform.settled();
    const done = (await harness.call("GET", `/app-setups/${begun.json.id}`)).json;
    expect(done).toMatchObject({
      status: "succeeded",
      app: { id: begun.json.app.id, name: "set-up" },
      build: { status: "succeeded", output_stream_url: expect.stringContaining("http") },
      postdeploy: { exit_code: 0, output: "ran node worker.js --once\n" },
      resolved_success_url: "http://set-up.apps.test/welcome",
    });
    const config = (await harness.call("GET", "/apps/set-up/config-vars")).json;
    expect(config).toEqual({
      PLAIN: "a",
      GIVEN: "g",
      REPLACED: "mine",
      FLAG: "true",
      EXTRA: "e",
      SECRET: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(harness.builder.requests.at(-1)).toMatchObject({
      env: config,
      commit: "abcdef123456",
      buildpacks: [{ url: "https://b.example.test/x.tgz" }],
    });
    expect((await harness.call("GET", "/apps/set-up")).json.build_stack.name).toBe("heroku-22");
    expect((await harness.call("GET", "/apps/set-up/formation")).json).toMatchObject([
      { type: "web", quantity: 1 },
      { type: "worker", quantity: 2, size: "Standard-2X" },
    ]);
    expect(harness.manifold.oneOffs.at(-1)).toMatchObject({ type: "postdeploy", env: config });
    const lines = harness.logplex.lines(done.app.id);
    expect(lines).toContain("app[api]: Setup succeeded");
    expect(lines.join("\n")).not.toContain(config.SECRET);
    const events = await harness.api.platform.db
      .selectFrom("events")
      .select("data")
      .where("resource", "=", "app-setup")
      .execute();
    expect(events.map(({ data }) => JSON.parse(data).status)).toEqual([
      "pending",
      "pending",
      "succeeded",
    ]);
    expect(JSON.stringify(events)).not.toContain(config.SECRET);
  });

  test("buildpacks of the request take the place of those of the manifest", async () => {
    const url = await source({ web: "x" }, { buildpacks: [{ url: "https://b.example.test/a" }] });
    const done = await setUp(url, {
      overrides: { buildpacks: [{ url: "https://b.example.test/b" }] },
    });
    expect(done.status).toBe("succeeded");
    expect(
      (await harness.call("GET", `/apps/${done.app.id}/buildpack-installations`)).json,
    ).toMatchObject([{ buildpack: { url: "https://b.example.test/b" } }]);
  });

  test("add-ons are told as not there, with what to do, and the rest goes on", async () => {
    const url = await source(
      { web: "x" },
      { addons: ["heroku-postgresql:mini", { plan: "heroku-redis", as: "CACHE" }] },
    );
    const done = await setUp(url);
    expect(done.status).toBe("succeeded");
    expect(done.manifest_errors).toEqual([
      expect.stringMatching(
        /^addons: heroku-postgresql:mini was not added.*no add-ons.*overrides\.env/,
      ),
      expect.stringMatching(/^addons: heroku-redis was not added/),
    ]);
  });

  test.each([
    ["is not there", undefined, /^app\.json not found/, []],
    ["is no JSON", "{", /^app\.json is not valid JSON/, []],
    ["is a list", [], /^invalid app\.json$/, [/^app\.json: /]],
    [
      "asks for what there is not",
      {
        env: { NEEDED: { description: "x" }, "BAD-NAME": "v", ODD: { generator: "dice" } },
        stack: "cedar-10",
        formation: { web: { size: "huge" } },
        addons: ["x:y"],
      },
      /^invalid app\.json$/,
      [
        /^env\.NEEDED: it is required and has no value/,
        /^env\.ODD\.generator: /,
        /^env: BAD-NAME can only contain/,
        /^stack: there is no stack/,
        /^formation\.web\.size: /,
        /^addons: x:y was not added/,
      ],
    ],
    ["has fields of a wrong kind", { buildpacks: "x" }, /^invalid app\.json$/, [/^buildpacks: /]],
  ] as const)(
    "an app.json that %s leaves no app, but a report",
    async (_, manifest, why, errors) => {
      const url = await source({ web: "x" }, manifest);
      const before = (await harness.call("GET", "/apps")).json.length;
      const done = await setUp(url, { app: { name: "short-lived" } });
      expect(done).toMatchObject({
        status: "failed",
        build: null,
        app: { name: "short-lived" },
        failure_message: expect.stringMatching(why),
      });
      expect(done.manifest_errors).toEqual(errors.map((one) => expect.stringMatching(one)));
      expect((await harness.call("GET", "/apps")).json).toHaveLength(before);
      expect(await status("/apps/short-lived")).toBe(404);
    },
  );

  test("a build that fails keeps the app with its output", async () => {
    const build = harness.builder.build;
    harness.builder.build = async () => {
      throw new Error("The compiler is not amused.");
    };
    try {
      const done = await setUp(await source({ web: "x" }, {}), { app: { name: "unbuilt" } });
      expect(done).toMatchObject({
        status: "failed",
        failure_message: "The compiler is not amused.",
        build: { status: "failed" },
        postdeploy: null,
      });
      const output = await harness.call("GET", done.build.output_stream_url, undefined, {}, null);
      expect(output.text).toContain("The compiler is not amused.");
      expect(await status("/apps/unbuilt")).toBe(200);
    } finally {
      harness.builder.build = build;
    }
  });

  test("a release command or postdeploy script that fails fails the setup", async () => {
    harness.manifold.outcome = (command) =>
      command === "bad" ? { exitCode: 7, output: `no\0pe${"x".repeat(70_000)}` } : { exitCode: 0 };
    const script = await setUp(
      await source({ web: "x" }, { scripts: { postdeploy: { command: "bad", size: "basic" } } }),
    );
    expect(script).toMatchObject({
      status: "failed",
      failure_message: "The postdeploy script failed: it ended with status 7.",
      postdeploy: { exit_code: 7, output: expect.stringMatching(/^no\ufffdpex+\n\(cut here/) },
    });
    expect(script.postdeploy.output.length).toBeLessThan(66_000);
    expect(harness.manifold.oneOffs.at(-1)?.size).toBe("Basic");
    const count = harness.manifold.oneOffs.length;
    const release = await setUp(
      await source({ web: "x", release: "bad" }, { scripts: { postdeploy: "true" } }),
    );
    expect(release).toMatchObject({
      status: "failed",
      failure_message: "The release command of v2 failed.",
      postdeploy: null,
    });
    expect(harness.manifold.oneOffs).toHaveLength(count + 1);
    harness.manifold.outcome = () => ({ exitCode: 0 });
  });

  test("requests that can't work are refused before anything is made", async () => {
    const url = await source({ web: "x" }, {});
    const refused = async (body: unknown) => (await harness.call("POST", "/app-setups", body)).json;
    expect(await refused({ source_blob: { url: "ftp://x.test/a" } })).toMatchObject({
      id: "invalid_params",
    });
    expect(await refused({ source_blob: { url }, app: { name: "set-up" } })).toMatchObject({
      id: "invalid_params",
      message: "Name set-up is already taken",
    });
    for (const of of [{ organization: "x" }, { team: "x" }, { space: "x" }, { region: "mars" }])
      expect(await refused({ source_blob: { url }, app: of })).toMatchObject({ id: "not_found" });
    const unsent = (await harness.call("POST", "/sources")).json.source_blob.get_url;
    expect(await refused({ source_blob: { url: unsent } })).toMatchObject({
      message: expect.stringContaining("Nothing was uploaded"),
    });
    expect(await refused({})).toMatchObject({ id: "invalid_params" });
  });

  test("only its maker, who may see the app, and administrators read the report", async () => {
    await harness.api.createAccount({ email: "maker@example.test" });
    await harness.api.createAccount({ email: "stranger@example.test" });
    const [maker, stranger] = await Promise.all(
      ["maker", "stranger"].map((name) =>
        harness.api.createToken({ account: `${name}@example.test` }),
      ),
    );
    const url = await source({ web: "x" }, {});
    const made = await harness.call("POST", "/app-setups", { source_blob: { url } }, {}, maker);
    await harness.api.platform.settled();
    const path = `/app-setups/${made.json.id}`;
    const as = async (token: string | null = null) =>
      (await harness.call("GET", path, undefined, {}, token)).status;
    expect([await as(maker), await as(harness.token), await as(stranger), await as()]).toEqual([
      200, 200, 404, 401,
    ]);
    const reader = await harness.api.createToken({
      account: "stranger@example.test",
      scope: ["read"],
    });
    const tried = await harness.call("POST", "/app-setups", { source_blob: { url } }, {}, reader);
    expect(tried.json).toMatchObject({ id: "forbidden" });
  });

  test("an app removed during its setup takes the setup along", async () => {
    let letGo = () => {};
    harness.builder.hold = new Promise((resolve) => {
      letGo = resolve;
    });
    const url = await source({ web: "x" }, {});
    const made = await harness.call("POST", "/app-setups", { source_blob: { url } });
    await expect.poll(async () => status(`/app-setups/${made.json.id}`)).toBe(200);
    expect((await harness.call("DELETE", `/apps/${made.json.app.id}`)).status).toBe(200);
    letGo();
    harness.builder.hold = undefined;
    await harness.api.platform.settled();
    expect(await status(`/app-setups/${made.json.id}`)).toBe(404);
    expect(await status(`/apps/${made.json.app.id}`)).toBe(404);
  });

  test("a setup that a dead process left behind fails at the next start", async () => {
    const done = await setUp(await source({ web: "x" }, {}));
    await harness.api.platform.db
      .updateTable("setups")
      .set({ status: "pending", owner: 0 })
      .where("id", "=", done.id)
      .execute();
    await harness.restart();
    expect((await harness.call("GET", `/app-setups/${done.id}`)).json).toMatchObject({
      status: "failed",
      failure_message: expect.stringContaining("The platform stopped during the setup."),
    });
    expect(await status(`/apps/${done.app.id}`)).toBe(200);
  });
});
