import { afterAll, beforeAll, expect, test } from "vitest";
import { Harness } from "./support/harness.ts";

// What the official command sends and reads beyond the published schema.

const harness = new Harness();
beforeAll(() => harness.start());
afterAll(() => harness.close());

test("an expiry is taken as the text in which `authorizations:create -e` sends it", async () => {
  const make = (expires_in: unknown) =>
    harness.call("POST", "/oauth/authorizations", { expires_in });
  expect(await make("60")).toMatchObject({
    status: 201,
    json: { access_token: { expires_in: 60 } },
  });
  for (const wrong of ["", "0", "a day", "1e3", 0, 1.5])
    expect(await make(wrong)).toMatchObject({
      status: 422,
      json: { message: expect.stringMatching(/^expires_in: /) },
    });
});

test("the coupling of an app names its pipeline, for `pipelines:promote`", async () => {
  await harness.call("POST", "/apps", { name: "shop" });
  const made = await harness.call("POST", "/pipelines", { name: "shops" });
  const { id } = made.json as { id: string };
  await harness.call("POST", "/pipeline-couplings", {
    app: "shop",
    pipeline: id,
    stage: "staging",
  });
  expect(await harness.call("GET", "/apps/shop/pipeline-couplings")).toMatchObject({
    status: 200,
    json: { pipeline: { id, name: "shops" }, stage: "staging" },
  });
});

test("a feature that is always on is not said to be off", async () => {
  await harness.call("POST", "/apps", { name: "lit" });
  const turn = (enabled: boolean) =>
    harness.call("PATCH", "/apps/lit/features/preboot", { enabled });
  expect(await turn(false)).toMatchObject({
    status: 422,
    json: { id: "invalid_params", message: "preboot is always on here." },
  });
  expect(await turn(true)).toMatchObject({ status: 200, json: { enabled: true } });
});
