import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { app, changes, dyno, release, shows } from "./support/cases.ts";
import { runCli } from "./support/in-process.ts";
import { StubApi } from "./support/stub-api.ts";

let api: StubApi;
beforeEach(async () => {
  api = await new StubApi().listen();
});
afterEach(() => api.close());

const cli = (...argv: string[]) =>
  runCli(argv, { DYNOKIT_URL: api.url, DYNOKIT_TOKEN: "secret", DYNOKIT_APP: "shop", HOME: "/" });

describe("commands that show", () => {
  for (const [argv, request, answer, shown, empty] of shows) {
    test(`${argv.join(" ")} asks ${request} and prints it`, async () => {
      api.on(request, { body: answer });
      const { code, out } = await cli(...argv);
      expect(out).toMatch(shown);
      expect(code).toBe(0);
      expect(api.lines).toEqual([request]);
      expect(api.seen[0]?.headers.authorization).toBe("Bearer secret");
    });
    test(`${argv.join(" ")} --json prints the API's own document`, async () => {
      api.on(request, { body: answer });
      expect(JSON.parse((await cli(...argv, "--json")).out)).toEqual(answer);
    });
    if (empty)
      test(`${argv.join(" ")} says when there is nothing`, async () => {
        api.on(request, { body: [] });
        expect((await cli(...argv)).out).toMatch(empty);
      });
    test(`${argv.join(" ")} shows a refusal with the API's words and ends with 2`, async () => {
      api.on(request, { status: 403, body: { id: "forbidden", message: "Not yours." } });
      const { code, out, err } = await cli(...argv);
      expect([code, out]).toEqual([2, ""]);
      expect(err).toMatch(/Not yours\.\n +Error id: forbidden/);
    });
  }
});

describe("commands that change", () => {
  for (const [argv, request, body, said, answer] of changes) {
    test(`${argv.join(" ")} asks ${request}`, async () => {
      api.on(request, { body: answer ?? {} });
      const { code, err } = await cli(...argv);
      expect(err).toMatch(said);
      expect(code).toBe(0);
      expect(api.lines).toEqual([request]);
      expect(api.seen[0]?.body).toEqual(body);
    });
    test(`${argv.join(" ")} says nothing was done when it was refused`, async () => {
      api.on(request, {
        status: 422,
        body: {
          id: "invalid_params",
          message: "No.",
          errors: [{ pointer: "/x", message: "bad x" }],
        },
      });
      const { code, out, err } = await cli(...argv);
      expect([code, out]).toEqual([2, ""]);
      expect(err).toMatch(/No\.\n +\/x bad x/);
      expect(err).not.toMatch(/done/);
    });
  }
});

describe("--json of commands that change", () => {
  for (const [argv, request, , , answer] of changes)
    test(`${argv.join(" ")} prints the API's document and says nothing else`, async () => {
      api.on(request, { body: answer ?? { id: "x" } });
      const { code, out } = await cli(...argv, "--json");
      expect(code).toBe(0);
      expect(JSON.parse(out)).toEqual(answer ?? { id: "x" });
    });
});

describe("config", () => {
  test("set sends all pairs at once, values may hold equals signs, and names the release", async () => {
    api.on("PATCH /apps/shop/config-vars", { body: {} });
    api.on("GET /apps/shop/releases", { body: [release(7)] });
    const { err } = await cli("config:set", "A=x=y", "B=");
    expect(api.seen[0]?.body).toEqual({ A: "x=y", B: "" });
    expect(api.seen[1]?.headers["range"]).toBe("version ..; max=1, order=desc");
    expect(err).toBe("Setting A, B and restarting shop... done, v7\n");
  });

  test("unset sends nulls", async () => {
    api.on("PATCH /apps/shop/config-vars", { body: {} });
    api.on("GET /apps/shop/releases", { body: [] });
    await cli("config:unset", "A", "B");
    expect(api.seen[0]?.body).toEqual({ A: null, B: null });
  });

  test("get prints values alone, for shells quoted, as JSON with null for what is not there", async () => {
    api.on("GET /apps/shop/config-vars", { body: { A: "it's", toString: "t" } });
    expect((await cli("config:get", "A")).out).toBe("it's\n");
    expect((await cli("config:get", "A", "-s")).out).toBe(`A='it'\\''s'\n`);
    expect(JSON.parse((await cli("config:get", "A", "valueOf", "--json")).out)).toEqual({
      A: "it's",
      valueOf: null,
    });
  });

  test("a pair without a name is refused before anything is asked, without its value", async () => {
    const { code, err } = await cli("config:set", "=hunter2");
    expect(code).toBe(2);
    expect(err).toMatch(/no KEY=value/);
    expect(api.lines).toEqual([]);
  });
});

describe("scale", () => {
  beforeEach(() => {
    api.on("GET /apps/shop/formation", {
      body: [
        { type: "web", quantity: 1, size: "Basic" },
        { type: "worker", quantity: 3, size: "Eco" },
      ],
    });
  });

  test("sends absolute quantities as they are and relative ones signed", async () => {
    api.on("PATCH /apps/shop/formation", {
      body: [
        { type: "web", quantity: 2, size: "Standard-1X" },
        { type: "worker", quantity: 2, size: "Eco" },
      ],
    });
    const { err } = await cli("ps:scale", "web=2:standard-1x", "worker-1");
    expect(api.seen.at(-1)?.body).toEqual({
      updates: [
        { type: "web", quantity: "2", size: "standard-1x" },
        { type: "worker", quantity: "-1" },
      ],
    });
    expect(err).toBe("Scaling dynos... done, now running web at 2:Standard-1X, worker at 2:Eco\n");
  });

  test("a type that is not there is refused with a suggestion, and nothing is changed", async () => {
    const { code, err } = await cli("ps:scale", "wrker=2");
    expect(code).toBe(2);
    expect(err).toMatch(/Did you mean "worker"\?/);
    expect(api.lines).toEqual(["GET /apps/shop/formation"]);
  });

  test("--dry-run asks for the preview alone", async () => {
    api.on("PATCH /apps/shop/formation?dry_run=true", { body: { start: ["web.2"] } });
    expect(JSON.parse((await cli("scale", "web=2", "--dry-run")).out)).toEqual({
      start: ["web.2"],
    });
  });
});

describe("ps", () => {
  test("one-offs come first, numbers are sorted as numbers, groups by type, command and size", async () => {
    api.on("GET /apps/shop/dynos", {
      body: [
        dyno("web.10"),
        dyno("web.2"),
        dyno("worker.1", { command: "work", state: "crashed", updated_at: "2026-01-01T11:59:30Z" }),
        dyno("run.1234", { command: "bash", updated_at: "2026-01-01T11:58:00Z" }),
      ],
    });
    expect((await cli("ps")).out).toBe(
      [
        "=== run: one-off processes (1)",
        "",
        "run.1234 (Eco): up 2026/01/01 11:58:00 +0000 (~ 2m ago): bash",
        "",
        "=== web (Eco): npm start (2)",
        "",
        "web.2: up 2026/01/01 11:00:00 +0000 (~ 1h ago)",
        "web.10: up 2026/01/01 11:00:00 +0000 (~ 1h ago)",
        "",
        "=== worker (Eco): work (1)",
        "",
        "worker.1: crashed 2026/01/01 11:59:30 +0000 (~ 30s ago)",
        "",
      ].join("\n"),
    );
  });

  test("a time 25 hours back has no 'ago'", async () => {
    api.on("GET /apps/shop/dynos", {
      body: [dyno("web.1", { updated_at: "2025-12-31T11:00:00Z" })],
    });
    expect((await cli("ps")).out).toMatch(/web\.1: up 2025\/12\/31 11:00:00 \+0000\n/);
  });

  test("wait asks until every dyno of the formation runs the newest release", async () => {
    api.on("GET /apps/shop/releases", { body: [release(3)] });
    let asked = 0;
    api.on("GET /apps/shop/dynos", () => {
      asked += 1;
      const version = asked > 1 ? 3 : 2;
      return {
        body: [
          dyno("web.1", { release: { id: "r", version } }),
          dyno("release.1", { state: "starting" }),
          dyno("run.1", { release: { id: "r", version: 1 } }),
        ],
      };
    });
    const { code, err } = await cli("ps:wait");
    expect(code).toBe(0);
    expect(err).toBe("0 of 1 dynos run v3\n1 of 1 dynos run v3\n");
  });
});

describe("releases", () => {
  test("rollback goes to the newest that may be gone back to", async () => {
    api.on("GET /apps/shop/releases", {
      body: [release(3, true), { ...release(2), eligible_for_rollback: false }, release(1)],
    });
    api.on("POST /apps/shop/releases", { status: 201, body: release(4, true) });
    const { err } = await cli("rollback");
    expect(api.seen.at(-1)?.body).toEqual({ release: "r1" });
    expect(err).toBe("Rolling back shop to v1... done, v4\n");
  });

  test("diff tells names and never values", async () => {
    for (const [version, config] of [
      [1, { A: "old", B: "gone", C: "same" }],
      [2, { A: "new", C: "same", D: "fresh" }],
    ] as const)
      api
        .on(`GET /apps/shop/releases/${version}`, { body: release(version) })
        .on(`GET /apps/shop/releases/${version}/config-vars`, { body: config });
    expect((await cli("releases:diff", "v1", "2")).out).toBe("code: changed\n~ A\n- B\n+ D\n");
    expect(JSON.parse((await cli("releases:diff", "1", "2", "--json")).out)).toEqual({
      code: "changed",
      config: { added: ["D"], removed: ["B"], changed: ["A"] },
    });
  });

  test("a version that is none is refused", async () => {
    expect((await cli("rollback", "latest")).code).toBe(2);
  });
});

describe("pipelines", () => {
  const couplings = [
    { id: "c1", app: { id: "a1" }, pipeline: { id: "p1" }, stage: "staging" },
    { id: "c2", app: { id: "a2" }, pipeline: { id: "p1" }, stage: "production" },
  ];
  beforeEach(() => {
    api
      .on("GET /apps/shop/pipeline-couplings", { body: couplings[0] })
      .on("GET /pipelines/p1/pipeline-couplings", { body: couplings })
      .on("GET /apps/a1", { body: app })
      .on("GET /apps/a2", { body: { ...app, id: "a2", name: "shop-live" } });
  });

  test("create makes the pipeline and puts the app into it", async () => {
    api
      .on("GET /account", { body: { id: "u1" } })
      .on("POST /pipelines", { status: 201, body: { id: "p1", name: "pipe" } })
      .on("POST /pipeline-couplings", { status: 201, body: couplings[0] });
    expect((await cli("pipelines:create", "pipe", "-s", "staging")).code).toBe(0);
    expect(api.seen.map(({ body }) => body)).toEqual([
      undefined,
      { name: "pipe", owner: { id: "u1", type: "user" } },
      { app: "shop", pipeline: "p1", stage: "staging" },
    ]);
  });

  test("promote releases to the next stage and waits for the end of it", async () => {
    api.on("POST /pipeline-promotions", { status: 201, body: { id: "m1" } });
    let asked = 0;
    api.on("GET /pipeline-promotions/m1/promotion-targets", () => {
      asked += 1;
      return {
        body: [
          { app: { id: "a2" }, status: asked > 1 ? "succeeded" : "pending", error_message: null },
        ],
      };
    });
    const { code, err } = await cli("pipelines:promote");
    expect(api.seen.find(({ method }) => method === "POST")?.body).toEqual({
      pipeline: { id: "p1" },
      source: { app: { id: "a1" } },
      targets: [{ app: { id: "a2" } }],
    });
    expect([code, err]).toEqual([0, "Promoting shop to shop-live... done\n"]);
  });

  test("a failed promotion names the app and the reason", async () => {
    api
      .on("POST /pipeline-promotions", { status: 201, body: { id: "m1" } })
      .on("GET /pipeline-promotions/m1/promotion-targets", {
        body: [{ app: { id: "a2" }, status: "failed", error_message: "No room." }],
      });
    const { code, err } = await cli("pipelines:promote");
    expect(code).toBe(1);
    expect(err).toMatch(/shop-live: No room\./);
  });

  test("an app in no pipeline is told what to do", async () => {
    api
      .on("GET /apps/shop/pipeline-couplings", {
        status: 404,
        body: { id: "not_found", message: "x" },
      })
      .on("GET /apps/shop", { body: app });
    expect((await cli("pipelines:promote")).err).toMatch(/shop is in no pipeline/);
  });

  test("info sorts by stage", async () => {
    api.on("GET /pipelines/pipe", { body: { id: "p1", name: "pipe" } });
    expect((await cli("pipelines:info", "pipe")).out).toMatch(
      /shop +staging\nshop-live +production/,
    );
  });
});

describe("buildpacks", () => {
  test.each([
    [["buildpacks:set", "c"], ["c"]],
    [
      ["buildpacks:set", "c", "-i", "1"],
      ["c", "b"],
    ],
    [
      ["buildpacks:set", "c", "-i", "9"],
      ["a", "b", "c"],
    ],
    [
      ["buildpacks:add", "c"],
      ["a", "b", "c"],
    ],
    [
      ["buildpacks:add", "c", "-i", "2"],
      ["a", "c", "b"],
    ],
    [["buildpacks:remove", "a"], ["b"]],
    [["buildpacks:clear"], []],
  ])("%j leaves %j", async (argv, urls) => {
    const path = "/apps/shop/buildpack-installations";
    api.on(`GET ${path}`, {
      body: ["a", "b"].map((url, ordinal) => ({ ordinal, buildpack: { url, name: url } })),
    });
    api.on(`PUT ${path}`, { body: [] });
    expect((await cli(...argv)).code).toBe(0);
    expect(api.seen.at(-1)?.body).toEqual({ updates: urls.map((buildpack) => ({ buildpack })) });
  });
});

describe("certificates", () => {
  const directory = mkdtempSync(join(tmpdir(), "dk-certs-"));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test("add sends both files, and files in the wrong order are refused before anything is sent", async () => {
    const chain = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
    const key = "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----\n";
    writeFileSync(join(directory, "chain.pem"), chain);
    writeFileSync(join(directory, "key.pem"), key);
    api.on("POST /apps/shop/sni-endpoints", { status: 201, body: { name: "boa-1" } });
    const [a, b] = [join(directory, "chain.pem"), join(directory, "key.pem")];
    expect((await cli("certs:add", b, a)).code).toBe(2);
    expect(api.lines).toEqual([]);
    expect((await cli("certs:add", a, b)).out).toBe("boa-1\n");
    expect(api.seen[0]?.body).toEqual({ certificate_chain: chain, private_key: key });
  });
});

describe("events", () => {
  const event = (sequence: number) => ({
    action: "update",
    actor: { email: "me@example.com" },
    created_at: "2026-01-01T00:00:00Z",
    data: { name: "web.1", state: "up" },
    resource: "dyno",
    sequence: String(sequence),
  });

  test("the newest are shown, from the end of as many pages as there are", async () => {
    api
      .on("GET /events?app=shop", { headers: { "last-event-id": "2" }, body: [event(1), event(2)] })
      .on("GET /events?app=shop&after=2", { headers: { "last-event-id": "3" }, body: [event(3)] })
      .on("GET /events?app=shop&after=3", { body: [] });
    const { out } = await cli("events", "-n", "2");
    expect(out).toBe(
      "2026-01-01T00:00:00Z #2 dyno update web.1 up by me@example.com\n2026-01-01T00:00:00Z #3 dyno update web.1 up by me@example.com\n",
    );
  });

  test("--tail goes on from the last event after a lost connection", async () => {
    const stop = new AbortController();
    api.on("GET /events?app=shop", (request) => {
      const after = Number(request.headers["last-event-id"] ?? 0);
      if (after === 2) stop.abort();
      return {
        headers: { "content-type": "text/event-stream" },
        body: `id: ${after + 1}\nevent: dyno\ndata: ${JSON.stringify(event(after + 1))}\n\n`,
      };
    });
    const { code, out } = await runCli(
      ["events", "--tail", "--json"],
      { DYNOKIT_URL: api.url, DYNOKIT_TOKEN: "t", DYNOKIT_APP: "shop" },
      { signal: stop.signal },
    );
    expect(code).toBe(130);
    expect(
      out
        .trim()
        .split("\n")
        .slice(0, 2)
        .map((line) => JSON.parse(line).sequence),
    ).toEqual(["1", "2"]);
  });
});

describe("logs", () => {
  test("asks for a session with the filters and prints its lines, or JSON", async () => {
    api.on("POST /apps/shop/log-sessions", {
      status: 201,
      body: { logplex_url: `${api.url}/stream` },
    });
    api.on("GET /stream", {
      headers: { "content-type": "text/event-stream" },
      body: "id: 1\ndata: 2026-01-01T00:00:00.000000+00:00 app[web.1]: hi\n\n: hb\n\nid: 2\ndata: plain\n\n",
    });
    const { out } = await cli("logs", "-n", "5", "-s", "app", "-d", "web.1", ".status>=500");
    expect(api.seen[0]?.body).toEqual({
      lines: 5,
      tail: false,
      source: "app",
      dyno: "web.1",
      query: ".status>=500",
    });
    expect(out).toBe("2026-01-01T00:00:00.000000+00:00 app[web.1]: hi\nplain\n");
    const json = (await cli("logs", "--json")).out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(json).toEqual([
      { time: "2026-01-01T00:00:00.000000+00:00", source: "app", process: "web.1", message: "hi" },
      { message: "plain" },
    ]);
  });

  test("a dyno and a type together are refused", async () => {
    expect((await cli("logs", "-d", "web.1", "-p", "web")).code).toBe(2);
  });
});

describe("run", () => {
  test("detached posts the command and prints the dyno's name", async () => {
    api.on("POST /apps/shop/dynos", { status: 201, body: dyno("run.7") });
    const { out } = await cli("run:detached", "-e", "A=1;B=2", "-e", "C=x;y", "--", "rake", "-T");
    expect(api.seen[0]?.body).toMatchObject({
      command: "rake -T",
      attach: false,
      env: { A: "1", B: "2", C: "x;y" },
    });
    expect(out).toBe("run.7\n");
  });

  test("options after the command are the command's", async () => {
    api.on("POST /apps/shop/dynos", { status: 201, body: dyno("run.7") });
    await cli("run:detached", "ls", "-a", "--json");
    expect(api.seen[0]?.body.command).toBe("ls -a --json");
  });

  test("inside asks the dyno, and a platform that cannot is said so", async () => {
    api.on("POST /apps/shop/dynos/web.1", {
      status: 405,
      body: { id: "not_found", message: "No." },
    });
    const { code, err } = await cli("run:inside", "web.1", "bash");
    expect(api.seen[0]?.headers.accept).toBe("application/vnd.heroku+json; version=3.run-inside");
    expect(code).toBe(1);
    expect(err).toMatch(/cannot run commands inside a dyno/);
  });
});

describe("failures", () => {
  test("a mistyped command is answered with the likely one and status 2", async () => {
    const { code, err } = await cli("config:gett");
    expect(code).toBe(2);
    expect(err).toMatch(/unknown command 'config:gett'\n\(Did you mean config:get\?\)/);
  });

  test("a mistyped option is answered with the likely one", async () => {
    expect((await cli("apps", "--jsn")).err).toMatch(/Did you mean --json\?/);
  });

  test("nothing at the address is said with the address and status 1", async () => {
    const { code, err } = await runCli(["apps"], {
      DYNOKIT_URL: "http://127.0.0.1:1",
      DYNOKIT_TOKEN: "t",
    });
    expect(code).toBe(1);
    expect(err).toMatch(/Nothing answers at http:\/\/127\.0\.0\.1:1 \(ECONNREFUSED\)/);
  });

  test("a 401 says how to sign in", async () => {
    api.on("GET /apps", {
      status: 401,
      body: { id: "unauthorized", message: "Invalid credentials." },
    });
    expect((await cli("apps")).err).toMatch(/Sign in with `dynokit login`/);
  });

  test("a fault of the platform is shown with the id of the request", async () => {
    api.on("GET /apps", {
      status: 500,
      headers: { "request-id": "4c1f" },
      body: { id: "internal_server_error", message: "Quote the Request-Id." },
    });
    expect((await cli("apps")).err).toMatch(/Quote the Request-Id\..*Request-Id: 4c1f/s);
  });

  test("an answer that is not the API's is shown by its status", async () => {
    api.on("GET /apps", { status: 502, body: "<html>" });
    const { code, err } = await cli("apps");
    expect(code).toBe(2);
    expect(err).toMatch(/answered 502/);
  });

  test("without an app the message says how to choose one", async () => {
    const { code, err } = await runCli(["ps"], { DYNOKIT_URL: api.url, DYNOKIT_TOKEN: "t" });
    expect(code).toBe(2);
    expect(err).toMatch(/No app chosen/);
  });

  test("destroying needs the name", async () => {
    const { code, err } = await cli("apps:destroy");
    expect(code).toBe(2);
    expect(err).toMatch(/--confirm shop/);
    expect(api.lines).toEqual([]);
  });

  test("the app to show or to destroy may be named without --app", async () => {
    const destroy = await cli("apps:destroy", "other");
    expect(destroy.err).toMatch(/--confirm other/);
    api.on("GET /apps/other", { body: { ...app, name: "other" } });
    expect((await cli("apps:info", "other")).out).toMatch(/=== other/);
  });

  test("the token shows in no message", async () => {
    api.on("GET /apps", { status: 500, body: "oops" });
    const { err } = await cli("apps");
    expect(err).not.toContain("secret");
  });
});

test("lists follow Next-Range to their end", async () => {
  api.on("GET /apps", (request) =>
    request.headers["range"] === "name ]a..; max=1"
      ? { body: [{ ...app, name: "b" }] }
      : {
          status: 206,
          headers: { "next-range": "name ]a..; max=1" },
          body: [{ ...app, name: "a" }],
        },
  );
  const names = JSON.parse((await cli("apps", "--json")).out).map(
    (one: { name: string }) => one.name,
  );
  expect(names).toEqual(["a", "b"]);
});

describe("what needs more than one request", () => {
  test("domains:clear leaves what the platform gave", async () => {
    api.on("GET /apps/shop/domains", {
      body: [
        { hostname: "shop.localhost", kind: "heroku" },
        { hostname: "x.example.com", kind: "custom" },
      ],
    });
    api.on("DELETE /apps/shop/domains/x.example.com", { body: {} });
    expect((await cli("domains:clear")).err).toMatch(/Removing 1 domains/);
    expect(api.lines.slice(1)).toEqual(["DELETE /apps/shop/domains/x.example.com"]);
  });

  test("apps:leave takes away the access of the account itself", async () => {
    api.on("GET /account", { body: { id: "me" } });
    api.on("GET /apps/shop/collaborators", { body: [{ id: "c9", user: { id: "me" } }] });
    api.on("DELETE /apps/shop/collaborators/c9", { body: {} });
    expect((await cli("apps:leave")).err).toMatch(/Leaving shop/);
  });

  test("account:destroy wants the account's e-mail", async () => {
    api.on("GET /account", { body: { email: "me@x" } });
    api.on("DELETE /account", { body: {} });
    const refused = await cli("account:destroy", "--confirm", "other");
    expect([refused.code, api.lines]).toEqual([2, ["GET /account"]]);
    expect(refused.err).toMatch(/Confirm it with --confirm me@x/);
    expect((await cli("account:destroy", "--confirm", "me@x")).err).toMatch(/Removing me@x/);
  });

  test("webhooks:update needs something to change", async () => {
    const { code, err } = await cli("webhooks:update", "w");
    expect([code, api.lines]).toEqual([2, []]);
    expect(err).toMatch(/Nothing to change: give --url/);
  });

  test("pipelines:update moves the app's coupling", async () => {
    api.on("GET /apps/shop/pipeline-couplings", { body: { id: "c1" } });
    api.on("PATCH /pipeline-couplings/c1", { body: {} });
    expect((await cli("pipelines:update", "-s", "production")).code).toBe(0);
    expect(api.seen[1]?.body).toEqual({ stage: "production" });
  });

  test("pipelines:releases shows what each app runs", async () => {
    api.on("GET /pipelines/pipe", { body: { id: "p1", name: "pipe" } });
    api.on("GET /pipelines/p1/latest-releases", {
      body: [{ app: { name: "shop" }, version: 4, description: "Deploy", created_at: "t" }],
    });
    expect((await cli("pipelines:releases", "pipe")).out).toMatch(/shop +v4 +Deploy +t/);
  });

  test("slugs:create announces, uploads and releases", async () => {
    const directory = mkdtempSync(join(tmpdir(), "dk-slug-"));
    writeFileSync(join(directory, "Procfile"), "web: ./server\nworker: ./work\n");
    writeFileSync(join(directory, "slug.tgz"), "bytes");
    api.on("POST /apps/shop/slugs", { body: { id: "s9", blob: { url: `${api.url}/blob` } } });
    api.on("PUT /blob", { body: {} });
    api.on("POST /apps/shop/releases", { body: { version: 12 } });
    const ran = await runCli(
      ["slugs:create", "slug.tgz", "--commit", "abc"],
      { DYNOKIT_URL: api.url, DYNOKIT_TOKEN: "secret", DYNOKIT_APP: "shop", HOME: "/" },
      { cwd: directory },
    );
    rmSync(directory, { recursive: true, force: true });
    expect(ran.err).toMatch(/Releasing it to shop\.\.\. done, v12/);
    expect(api.seen.map(({ body }) => body)).toEqual([
      { process_types: { web: "./server", worker: "./work" }, commit: "abc" },
      "bytes",
      { slug: "s9" },
    ]);
  });

  test("config:edit sends what the editor changed, and nulls for what it deleted", async () => {
    api.on("GET /apps/shop/config-vars", { body: { A: "1", B: "two words", C: "it's\n$x" } });
    api.on("PATCH /apps/shop/config-vars", { body: {} });
    api.on("GET /apps/shop/releases", { body: [release(7)] });
    const edit = (script: string) =>
      runCli(["config:edit"], {
        DYNOKIT_URL: api.url,
        DYNOKIT_TOKEN: "secret",
        DYNOKIT_APP: "shop",
        HOME: "/",
        PATH: process.env["PATH"],
        VISUAL: script,
      });
    expect((await edit("true")).err).toMatch(/Nothing was changed/);
    expect((await edit("false")).err).toMatch(/ended with status 1; nothing was changed/);
    const { err } = await edit("sed -i -e /^A=/d -e s/two/three/");
    expect(err).toMatch(/Setting A, B and restarting shop\.\.\. done, v7/);
    const sent = api.seen.filter(({ method }) => method === "PATCH").map(({ body }) => body);
    expect(sent).toEqual([{ A: null, B: "three words" }]);
  });

  test("git:remote adds the app's repository, and sets it when it is there", async () => {
    const directory = mkdtempSync(join(tmpdir(), "dk-git-"));
    execFileSync("git", ["init", "-q"], { cwd: directory });
    api.on("GET /apps/shop", { body: app });
    const env = { DYNOKIT_URL: api.url, DYNOKIT_TOKEN: "secret", DYNOKIT_APP: "shop", HOME: "/" };
    for (let turn = 0; turn < 2; turn++)
      expect((await runCli(["git:remote"], env, { cwd: directory })).err).toMatch(
        /set git remote dynokit to https:\/\/localhost\/shop\.git/,
      );
    const remotes = execFileSync("git", ["remote", "-v"], { cwd: directory, encoding: "utf8" });
    rmSync(directory, { recursive: true, force: true });
    expect(remotes).toMatch(/^dynokit\thttps:\/\/localhost\/shop\.git \(fetch\)$/m);
  });

  test("git:remote says what git says outside of a repository", async () => {
    api.on("GET /apps/shop", { body: app });
    const env = { DYNOKIT_URL: api.url, DYNOKIT_TOKEN: "secret", DYNOKIT_APP: "shop", HOME: "/" };
    const { code, err } = await runCli(["git:remote"], env, { cwd: "/" });
    expect(code).toBe(1);
    expect(err).toMatch(/not a git repository/);
  });
});
