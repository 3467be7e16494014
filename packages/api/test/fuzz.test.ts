import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endpoints } from "../src/endpoints/index.ts";
import type { Endpoint } from "../src/http/endpoint.ts";
import { inputSchema, parametersOf } from "../src/openapi/json-schema.ts";
import { nastyText, near } from "./support/arbitrary.ts";
import { dump } from "./support/dump.ts";
import { engines } from "./support/engines.ts";
import { type Answer, Harness } from "./support/harness.ts";
import { fillWorld, type World } from "./support/world.ts";

// DYNOKIT_SOAK=1 makes thousands of requests to every endpoint instead of a few; a larger number
// makes that many.
const soakRuns = Number(process.env["DYNOKIT_SOAK"] ?? 0);
const soak = soakRuns > 0;
const hangMs = 20_000;

interface Shot {
  readonly params: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly dryRun: boolean;
}

const headerText = fc.stringMatching(/^[\x21-\x7e][\x20-\x7e]{0,40}$/);
const odd = {
  accept: fc.constantFrom(
    "application/vnd.heroku+json; version=3.sdk",
    "application/vnd.heroku+json; version=2",
    "application/json",
    "*/*",
    "text/html",
  ),
  range: fc.oneof(
    fc.constantFrom(
      "",
      "id ..; max=1000",
      "version ..; order=desc,max=1",
      "name ]a..z; max=2;",
      "version a..b",
      "id ]..[",
    ),
    headerText,
  ),
  "if-match": fc.oneof(fc.constantFrom("*", '"x"', 'W/"y", "z"'), headerText),
  "if-none-match": fc.constantFrom("*", '"x"'),
  prefer: fc.constantFrom("respond-async", "handling=preview", "handling=strict"),
  "content-type": fc.constantFrom(
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
  ),
};

function shots(endpoint: Endpoint, world: World): fc.Arbitrary<Shot> {
  const schema = endpoint.body ? inputSchema(endpoint.body) : {};
  const body = endpoint.body
    ? fc.option(near(schema, world.words), { freq: 30, nil: undefined })
    : fc.constant(undefined);
  const params = fc.record(
    Object.fromEntries(
      parametersOf(endpoint.path).map((name) => [
        name,
        fc.oneof(
          { weight: 12, arbitrary: fc.constant(world.params[name] ?? "none") },
          { weight: 1, arbitrary: fc.constantFrom(...world.words) },
          { weight: 2, arbitrary: nastyText.filter((text) => text !== "") },
        ),
      ]),
    ),
  );
  const query = endpoint.query
    ? near(inputSchema(endpoint.query), world.words).map((value) =>
        typeof value === "object" && value !== null
          ? new URLSearchParams(
              Object.entries(value).map(([key, item]): [string, string] => [key, String(item)]),
            ).toString()
          : "",
      )
    : fc.constant("");
  return fc.record({
    params,
    body,
    query,
    headers: fc.oneof(
      { weight: 5, arbitrary: fc.constant({}) },
      { weight: 1, arbitrary: fc.record(odd, { requiredKeys: [] }) },
    ) as fc.Arbitrary<Record<string, string>>,
    dryRun: fc.boolean(),
  });
}

/** A lone surrogate can't be part of an address. */
const wellFormed = (text: string) => Buffer.from(text, "utf8").toString("utf8");

async function fire(harness: Harness, endpoint: Endpoint, shot: Shot): Promise<Answer> {
  const path = endpoint.path.replaceAll(/\{(\w+)\}/g, (_all, name: string) =>
    encodeURIComponent(wellFormed(shot.params[name] ?? "")),
  );
  const query = [shot.query, shot.dryRun ? "dry_run=true" : ""].filter((part) => part !== "");
  const target = `${path}${query.length > 0 ? `?${query.join("&")}` : ""}`;
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${target} hangs`)), hangMs);
  });
  try {
    const body = endpoint.method === "GET" ? undefined : shot.body;
    return await Promise.race([
      harness.call(endpoint.method, target, body, { ...shot.headers }),
      hang,
    ]);
  } finally {
    clearTimeout(timer);
  }
}

for (const engine of engines)
  describe.skipIf(engine.skip)(`hostile requests on ${engine.name}`, () => {
    let harness: Harness;
    let place: Awaited<ReturnType<typeof engine.open>>;
    let world: World;

    beforeAll(async () => {
      place = await engine.open();
      harness = await new Harness(place.location).start({
        auth: {
          rateLimit: { capacity: 1e9, refillPerMinute: 1e9 },
          failureLimit: { capacity: 1e9, refillPerMinute: 1e9 },
        },
        webhooks: { allowPrivate: false },
      });
      world = await fillWorld(harness);
    });
    afterAll(async () => {
      await harness.close();
      await place.drop();
    });

    /** What a request destroyed is made again, so that the next ones still meet something. */
    async function mend(endpoint: Endpoint, answer: Answer): Promise<void> {
      if (endpoint.method === "GET" || answer.status >= 300) return;
      if ((await harness.call("GET", "/account")).status === 401)
        harness.token = await harness.api.createToken();
      if (endpoint.method === "DELETE" || endpoint.path.includes("transfers"))
        world = await fillWorld(harness);
    }

    const runs = soak ? (soakRuns === 1 ? 3000 : soakRuns) : engine.name === "libsql" ? 12 : 4;

    test.each(
      endpoints.map((endpoint) => [`${endpoint.method} ${endpoint.path}`, endpoint] as const),
    )(
      "%s answers everything, and changes nothing when it refuses or rehearses",
      async (_name, endpoint) => {
        const destroys = endpoint.method === "DELETE";
        await fc.assert(
          fc.asyncProperty(shots(endpoint, world), async (shot) => {
            await harness.api.platform.settled();
            const before = endpoint.method === "GET" ? "" : await dump(harness.store);
            const answer = await fire(harness, endpoint, shot);
            await harness.api.platform.settled();
            expect(answer.status, harness.errors.at(-1)).not.toBe(500);
            expect(answer.status).not.toBe(502);
            if (answer.status >= 400)
              expect(answer.json).toMatchObject({
                id: expect.any(String),
                message: expect.any(String),
              });
            if (endpoint.method !== "GET" && (answer.status >= 400 || shot.dryRun))
              expect(await dump(harness.store)).toBe(before);
            await mend(endpoint, answer);
          }),
          { numRuns: destroys && !soak ? Math.min(runs, 6) : runs, endOnFailure: !soak },
        );
      },
      soak ? 3_600_000 : 120_000,
    );
  });
