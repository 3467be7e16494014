import { createRequire } from "node:module";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Harness } from "./support/harness.ts";

interface Client {
  get(path: string, options?: object): Promise<unknown>;
  post(path: string, options?: object): Promise<Record<string, unknown>>;
  patch(path: string, options?: object): Promise<Record<string, unknown>>;
  put(path: string, options?: object): Promise<unknown>;
  delete(path: string, options?: object): Promise<Record<string, unknown>>;
}

const Heroku = createRequire(import.meta.url)("heroku-client") as new (options: object) => Client;

const harness = new Harness();
let heroku: Client;

beforeAll(async () => {
  await harness.start();
  const { port } = await harness.api.listen({ port: 0 });
  heroku = new Heroku({
    host: `http://localhost:${port}`,
    token: harness.token,
    parseJSON: true,
  });
});
afterAll(() => harness.close());

test("heroku-client runs an app's life unchanged", async () => {
  const app = await heroku.post("/apps", { body: { name: "client-app" } });
  expect(app["name"]).toBe("client-app");
  expect(await heroku.get("/apps")).toMatchObject([{ name: "client-app" }]);
  expect(await heroku.patch("/apps/client-app/config-vars", { body: { A: "1", B: "2" } })).toEqual({
    A: "1",
    B: "2",
  });
  expect(await heroku.patch("/apps/client-app/config-vars", { body: { B: null } })).toEqual({
    A: "1",
  });
  await harness.deploy("client-app", { web: "node web.js" });
  expect(
    await heroku.patch("/apps/client-app/formation", {
      body: { updates: [{ type: "web", quantity: 2, size: "Standard-1X" }] },
    }),
  ).toMatchObject([{ type: "web", quantity: 2 }]);
  expect(await heroku.get("/apps/client-app/dynos")).toHaveLength(2);
  expect(await heroku.get("/apps/client-app/releases")).toHaveLength(4);
  expect(await heroku.get("/account")).toMatchObject({ email: "admin@apps.test" });
  expect(await heroku.patch("/apps/client-app", { body: { maintenance: true } })).toMatchObject({
    maintenance: true,
  });
  expect(await heroku.delete("/apps/client-app")).toMatchObject({ id: app["id"] });
});

test("heroku-client follows every page of a long list", async () => {
  await heroku.post("/apps", { body: { name: "long-list" } });
  for (let n = 0; n < 25; n++)
    await harness.call("PATCH", "/apps/long-list/config-vars", { N: String(n) });
  const releases = (await heroku.get("/apps/long-list/releases", {
    headers: { Range: "version ..; max=10" },
  })) as { version: number }[];
  expect(releases.map(({ version }) => version)).toEqual(
    Array.from({ length: 26 }, (_, index) => index + 1),
  );
});

test("heroku-client gets the status and the body of a refusal", async () => {
  await expect(heroku.get("/apps/no-such-app")).rejects.toMatchObject({
    statusCode: 404,
    body: { id: "not_found", resource: "app", message: "Couldn't find that app." },
  });
  await expect(heroku.post("/apps", { body: { name: "-" } })).rejects.toMatchObject({
    statusCode: 422,
    body: { id: "invalid_params" },
  });
});
