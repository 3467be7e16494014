import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endpoints } from "../src/endpoints/index.ts";
import { Contract } from "./support/contract.ts";
import { type Answer, Harness } from "./support/harness.ts";
import { fillWorld, makeCertificate, type World } from "./support/world.ts";

/** What belongs to features that this platform does not have. */
const never = endpoints
  .filter(({ summary }) => summary.startsWith("Always 501"))
  .map(({ method, path }) => `${method} ${path}`);

/** Requests that another one before them would spoil. */
const alone = [
  "POST /teams/apps/{team_app}/collaborators",
  "PATCH /account/app-transfers/{app_transfer}",
];

interface Step {
  readonly body?: unknown;
  readonly params?: Readonly<Record<string, string>>;
  readonly token?: string;
  readonly query?: string;
}

const certificate = makeCertificate("www.example.test");
const pem = { certificate_chain: certificate.chain, private_key: certificate.key };

/** Bodies and parameters of requests that succeed, for operations that need other than the world's. */
function steps(world: World, friend: string, other: string): Readonly<Record<string, Step>> {
  const { params } = world;
  const prod = { id: params["prod_app"] ?? "" };
  const pipeline = { id: params["pipeline"] ?? "" };
  return {
    "POST /accounts": { body: { email: "new@example.test", password: "correct horse" } },
    "PATCH /account": { body: { name: "Tina", beta: true } },
    "DELETE /account": { token: friend },
    "PATCH /users/{account}": { body: { allow_tracking: true }, params: { account: "~" } },
    "POST /oauth/authorizations": { body: { scope: ["global"], description: "x", expires_in: 60 } },
    "PATCH /oauth/authorizations/{oauth_authorization}": { body: { description: "y" } },
    "POST /oauth/clients": { body: { name: "p", redirect_uri: "https://p.example.test/" } },
    "POST /oauth/tokens": {
      body: {
        grant: { type: "authorization_code", code: params["grant_code"] },
        client: { secret: params["client_secret"] },
      },
    },
    "PATCH /oauth/clients/{oauth_client}": { body: { name: "q" } },
    "POST /apps": { body: { name: "contract", region: "us", stack: { name: "heroku-24" } } },
    "PATCH /apps/{app}": { body: { maintenance: true } },
    "PATCH /apps/{app}/features/{app_feature}": { body: { enabled: true } },
    "PATCH /account/features/{account_feature}": { body: { enabled: true } },
    "PUT /apps/{app}/buildpack-installations": {
      body: { updates: [{ buildpack: "https://b.example.test/x.tgz" }] },
    },
    "POST /apps/{app}/collaborators": { body: { user: "other@example.test" } },
    "POST /teams/apps/{team_app}/collaborators": { body: { user: "other@example.test" } },
    "PATCH /apps/{app}/config-vars": { body: { A: "1", WORD: null } },
    "PATCH /apps/{app}/config-vars-settings": { body: [{ key: "A", masked: true }] },
    "PATCH /apps/{app}/router": { body: { concurrency: 5, timeouts: { firstByteMs: 1000 } } },
    "PATCH /apps/{app}/formation": { body: { updates: [{ type: "web", quantity: "+1" }] } },
    "PATCH /apps/{app}/formation/{formation}": { body: { quantity: 1 } },
    "POST /apps/{app}/dynos": { body: { command: "true" } },
    "POST /apps/{app}/dynos/{dyno}": { body: { command: "ls", env: { TERM: "xterm" } } },
    "POST /teams/apps": { body: { name: "team-made" } },
    "PATCH /teams/apps/{team_app}": { body: { owner: "friend@example.test" } },
    "PATCH /teams/apps/{team_app}/collaborators/{team_app_collaborator}": {
      body: { permissions: ["view"] },
    },
    "POST /apps/{app}/releases": { body: { release: "2" } },
    "POST /apps/{app}/builds": {
      body: { source_blob: { url: "https://source.example.test/a.tgz", version: "v" } },
    },
    "POST /apps/{app}/slugs": { body: { process_types: { web: "true" } } },
    "POST /apps/{app}/domains": { body: { hostname: "new.example.test", sni_endpoint: null } },
    "PATCH /apps/{app}/domains/{domain}": { body: { sni_endpoint: null } },
    "POST /apps/{app}/sni-endpoints": { body: pem },
    "PATCH /apps/{app}/sni-endpoints/{sni_endpoint}": { body: pem },
    "POST /apps/{app}/log-drains": { body: { url: "https://drain.example.test/" } },
    "POST /apps/{app}/log-sessions": { body: { tail: true, lines: 5, dyno: "web" } },
    "POST /apps/{app}/webhooks": {
      body: { include: ["api:app"], level: "sync", url: "http://127.0.0.1:9/" },
    },
    "PATCH /apps/{app}/webhooks/{app_webhook}": { body: { level: "sync" } },
    "POST /pipelines": { body: { name: "another" } },
    "PATCH /pipelines/{pipeline}": { body: { name: "renamed" } },
    "POST /pipeline-couplings": {
      body: { app: params["loose_app"], pipeline: params["pipeline"], stage: "development" },
    },
    "PATCH /pipeline-couplings/{pipeline_coupling}": { body: { stage: "staging" } },
    "POST /filters/apps": { body: { in: { id: [prod.id] } } },
    "POST /pipeline-promotions": {
      body: { pipeline, source: { app: { id: params["app_id"] } }, targets: [{ app: prod }] },
    },
    "GET /pipelines/{pipeline}/stage/{pipeline_coupling}/config-vars": {
      params: { pipeline_coupling: "review" },
    },
    "PATCH /pipelines/{pipeline}/stage/{pipeline_coupling}/config-vars": {
      params: { pipeline_coupling: "review" },
      body: { A: "1" },
    },
    "POST /app-setups": {
      body: { source_blob: { url: world.setupSource }, app: { name: "another-set-up" } },
    },
    "POST /account/app-transfers": { body: { app: "prod", recipient: "friend@example.test" } },
    "PATCH /account/app-transfers/{app_transfer}": { body: { state: "declined" }, token: other },
    "PUT /users/~/capabilities": { body: { capabilities: [{ capability: "deploy" }] } },
    "GET /generations/{stack}": { params: { stack: "cedar" } },
    "POST /apps/{app}/formations/{dyno}/actions/stop": { params: { dyno: "web" } },
    "DELETE /apps/{app}/formations/{dyno}": { params: { dyno: "web" } },
    "GET /users/{account}": { params: { account: "~" } },
    "GET /users/{account}/apps": { params: { account: "~" } },
    "GET /users/{account}/addons": { params: { account: "~" } },
    "DELETE /apps/{app}/builds/{build}": { params: { build: params["running_build"] ?? "" } },
  };
}

/** Kinds of things that this platform never has, so that naming one is always a 404. */
const absent = endpoints
  .filter(({ summary }) => summary.startsWith("Always 404"))
  .map(({ method, path }) => `${method} ${path}`);

describe("the published document and the traffic", () => {
  const harness = new Harness();
  let contract: Contract;
  let world: World;
  let friend = "";
  let other = "";
  let letGo = () => {};

  beforeAll(async () => {
    await harness.start({
      auth: {
        rateLimit: { capacity: 1e6, refillPerMinute: 1e6 },
        failureLimit: { capacity: 1e6, refillPerMinute: 1e6 },
      },
    });
    harness.api.setRendezvous({ offer: () => "rendezvous://rendezvous.test:5000/secret" });
    contract = await Contract.of(harness);
  });
  afterAll(() => harness.close());

  async function refill(): Promise<void> {
    letGo();
    harness.builder.hold = undefined;
    await harness.api.platform.settled();
    world = await fillWorld(harness);
    friend = await harness.api.createToken({ account: "friend@example.test" });
    other = await harness.api.createToken({ account: "other@example.test" });
    const loose = (await harness.call("POST", "/apps", { name: "loose" })).json;
    const { source_blob: blob } = (await harness.call("POST", "/sources")).json;
    await harness.call("PUT", blob.put_url, '{"web":"x"}', {}, null);
    harness.builder.hold = new Promise((resolve) => {
      letGo = resolve;
    });
    const running = await harness.call("POST", "/apps/loose/builds", {
      source_blob: { url: blob.get_url },
    });
    const app = (await harness.call("GET", "/apps/fuzz")).json;
    const program = await harness.call("POST", "/oauth/clients", {
      name: "a program",
      redirect_uri: "https://program.example.test/back",
    });
    const granted = await harness.call("POST", "/oauth/authorizations", {
      scope: ["read"],
      client: program.json.id,
    });
    const prod = (await harness.call("GET", "/apps/prod")).json;
    world = {
      ...world,
      params: {
        ...world.params,
        app_id: app.id,
        client_secret: program.json.secret,
        grant_code: granted.json.grant.code,
        oauth_token: granted.json.access_token.id,
        prod_app: prod.id,
        loose_app: loose.id,
        running_build: running.json.id,
      },
    };
  }

  async function fire(method: string, path: string, step: Step, extra = {}): Promise<Answer> {
    const filled = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) =>
      encodeURIComponent(step.params?.[name] ?? world.params[name] ?? "none"),
    );
    const target = `${filled}${step.query ?? ""}`;
    const answer = await harness.call(
      method,
      target,
      step.body,
      extra,
      step.token ?? harness.token,
    );
    expect(contract.differences(method, filled, step.body, answer)).toEqual([]);
    return answer;
  }

  test("every operation succeeds once, and each answer is what the document says", async () => {
    const order = ["GET", "POST", "PATCH", "PUT", "DELETE"];
    const failed: string[] = [];
    const inTable = [...endpoints].sort(
      (a, b) => order.indexOf(a.method) - order.indexOf(b.method),
    );
    await refill();
    for (const { method, path } of inTable) {
      const name = `${method} ${path}`;
      const idle = never.includes(name) || absent.includes(name);
      if ((method === "DELETE" && !idle) || alone.includes(name)) await refill();
      let step = steps(world, friend, other)[name] ?? {};
      if (name === "DELETE /apps/{app}/builds/{build}")
        step = { ...step, params: { ...step.params, app: "loose" } };
      const answer = await fire(method, path, step);
      if (never.includes(name)) expect(answer.status, name).toBe(501);
      else if (absent.includes(name)) expect(answer.status, name).toBe(404);
      else if (answer.status >= 300) failed.push(`${name}: ${answer.status} ${answer.text}`);
    }
    expect(failed).toEqual([]);
    letGo();
  }, 300_000);

  test("refusals are what the document says", async () => {
    await refill();
    for (const { method, path, open } of endpoints) {
      const unknown = await fire(method, path, {
        params: Object.fromEntries(Object.keys(world.params).map((key) => [key, "no-such"])),
      });
      if (path.includes("{app}")) expect(unknown.status, `${method} ${path}`).toBe(404);
      const anonymous = await fire(method, path, { token: "not-a-token-of-anyone" });
      expect(anonymous.status, `${method} ${path}`).toBe(path === "/oauth/tokens" ? 422 : 401);
      if (!open) {
        const old = await fire(
          method,
          path,
          {},
          {
            accept: "application/vnd.heroku+json; version=2",
          },
        );
        expect(old.json, `${method} ${path}`).toMatchObject({ id: "not_acceptable" });
      }
      if (method !== "GET") {
        const bad = await fire(method, path, { body: "{" });
        expect(bad.status, `${method} ${path}`).toBeGreaterThanOrEqual(400);
      }
    }
  }, 300_000);

  test("pages and unchanged answers are what the document says", async () => {
    await refill();
    for (const { method, path, ranges } of endpoints.filter((one) => one.method === "GET")) {
      const step = steps(world, friend, other)[`${method} ${path}`] ?? {};
      const first = await fire(method, path, step);
      if (first.status !== 200) continue;
      expect(first.headers.get("request-id")).toMatch(/^[0-9a-f-]{36}$/);
      expect(first.headers.get("vary")).toBe("Authorization, Accept-Encoding");
      const again = await fire(method, path, step, {
        "if-none-match": first.headers.get("etag") ?? "",
      });
      // Counters move between two requests.
      if (again.status !== 304) expect(again.text, path).not.toBe(first.text);
      if (!ranges) continue;
      for (const field of ranges) {
        const page = await fire(method, path, step, { range: `${field} ..; max=1` });
        expect(page.status).toBe(first.json.length > 1 ? 206 : 200);
        expect(page.headers.get("accept-ranges")).toBe(ranges.join(", "));
      }
      expect((await fire(method, path, step, { range: "no-such-field .." })).status).toBe(416);
    }
  }, 60_000);

  test("streams, uploads and documents are what the document says", async () => {
    await refill();
    const { source_blob: blob } = (await harness.call("POST", "/sources")).json;
    const exchange = async (method: string, url: string, body?: string, headers = {}) => {
      const answer = await harness.call(method, url, body, headers, null);
      expect(contract.differences(method, url, body, answer)).toEqual([]);
      return answer;
    };
    expect((await exchange("PUT", blob.put_url, '{"web":"x"}')).status).toBe(200);
    expect((await exchange("GET", blob.get_url)).status).toBe(200);
    expect((await exchange("GET", blob.get_url.replace(/.$/, "_"))).status).toBeGreaterThan(400);
    const build = (await harness.call("GET", "/apps/fuzz/builds")).json[0];
    expect((await exchange("GET", build.output_stream_url)).status).toBe(200);
    const sse = await exchange("GET", build.output_stream_url, undefined, {
      accept: "text/event-stream",
    });
    expect(sse.headers.get("content-type")).toContain("text/event-stream");
    const text = JSON.stringify({ web: "true" });
    const slug = await harness.call("POST", "/apps/fuzz/slugs", {
      process_types: { web: "true" },
      checksum: `SHA256:${createHash("sha256").update(text).digest("hex")}`,
    });
    expect((await exchange("PUT", slug.json.blob.url, text)).status).toBe(200);
    for (const path of ["/openapi.json", "/schema"])
      expect((await exchange("GET", path)).status).toBe(200);
    letGo();
  });

  test("the document and the table name the same operations", () => {
    const documented = new Set(contract.operations.map(({ method, path }) => `${method} ${path}`));
    for (const { method, path } of endpoints) expect(documented).toContain(`${method} ${path}`);
    const ids = contract.operations.map(({ item }) => item.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const walked = new Set([...contract.seen].map((one) => one.replace(/ \d+$/, "")));
    expect(endpoints.filter(({ method, path }) => !walked.has(`${method} ${path}`))).toEqual([]);
  });
});
