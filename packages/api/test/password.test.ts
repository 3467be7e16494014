import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ManualClock } from "./support/clock.ts";
import { engines } from "./support/engines.ts";
import { Harness } from "./support/harness.ts";

const harness = new Harness();
const clock = new ManualClock();
const admin = "admin@apps.test";

beforeAll(async () => {
  await harness.start({
    clock,
    auth: { failureLimit: { capacity: 6, refillPerMinute: 1 } },
  });
});
afterAll(() => harness.close());

/** The status of a sign-in with e-mail and password. */
async function signIn(email: string, password: string): Promise<number> {
  const authorization = `Basic ${Buffer.from(`${email}:${password}`).toString("base64")}`;
  const made = await harness.call("POST", "/oauth/authorizations", {}, { authorization }, null);
  return made.status;
}
const change = (body: object, token = harness.token, path = "/account") =>
  harness.call("PATCH", path, body, {}, token);

describe("a password", () => {
  test("is given to the first administrator by its token alone, and changed with the old one", async () => {
    expect(await signIn(admin, "")).toBe(401);
    const short = await change({ new_password: "short" });
    expect(short.json).toMatchObject({
      id: "invalid_params",
      errors: [{ pointer: "/new_password" }],
    });
    expect((await change({ new_password: "correct horse" })).status).toBe(200);
    expect(await signIn(admin, "correct horse")).toBe(201);
    for (const body of [{}, { password: "wrong" }]) {
      const refused = await change({ ...body, new_password: "battery staple" });
      expect(refused.json).toMatchObject({
        id: "invalid_params",
        errors: [{ pointer: "/password" }],
      });
    }
    const body = { password: "correct horse", new_password: "battery staple" };
    expect((await harness.call("PATCH", "/account?dry_run=true", body)).status).toBe(200);
    expect(await signIn(admin, "correct horse")).toBe(201);
    const changed = await change(body);
    expect(changed.status).toBe(200);
    expect(changed.text).not.toMatch(/correct|battery|scrypt/);
    expect(await signIn(admin, "battery staple")).toBe(201);
    clock.advance(60 * 60_000);
    expect(await signIn(admin, "correct horse")).toBe(401);
    expect((await harness.call("GET", "/account")).status).toBe(200);
    const events = await harness.call("GET", "/events?resource=account");
    expect(events.json.at(-1).data).toEqual({
      id: expect.any(String),
      email: admin,
      password_changed: true,
    });
    expect(events.text).not.toMatch(/correct|battery|scrypt/);
  });

  test("of somebody else is an administrator's to set", async () => {
    for (const email of ["ann@example.test", "bob@example.test"])
      await harness.api.createAccount({ email, password: "as it was" });
    const ann = await harness.api.createToken({ account: "ann@example.test" });
    const body = { new_password: "as it shall be" };
    expect((await change(body, ann, "/users/bob@example.test")).status).toBe(404);
    expect((await change(body, harness.token, "/users/bob@example.test")).status).toBe(200);
    expect(await signIn("bob@example.test", "as it shall be")).toBe(201);
    const read = await harness.api.createToken({ account: "ann@example.test", scope: ["read"] });
    expect((await change(body, read)).status).toBe(403);
    expect(await signIn("ann@example.test", "as it was")).toBe(201);
  });

  test("can't be guessed through its change", async () => {
    clock.advance(60 * 60_000);
    const statuses: number[] = [];
    for (let guess = 0; guess < 8; guess++)
      statuses.push(
        (await change({ password: `guess ${guess}`, new_password: "of the guesser" })).status,
      );
    expect(statuses).toEqual([422, 422, 422, 422, 422, 422, 429, 429]);
    clock.advance(60 * 60_000);
    expect(await signIn(admin, "battery staple")).toBe(201);
  });

  test("is there from the first start when that is asked for, and is not set again", async () => {
    const other = new Harness();
    const administrator = { email: "Boss@Example.test", password: "the first one" };
    try {
      await other.start({ administrator });
      await other.api.setPassword("boss@example.test", "the second one");
      await expect(other.api.setPassword("boss@example.test", "short")).rejects.toThrow(
        "8 to 500 characters",
      );
      await other.restart();
      const statuses = [];
      for (const password of ["the first one", "the second one"]) {
        const pair = Buffer.from(`boss@example.test:${password}`).toString("base64");
        const headers = { authorization: `Basic ${pair}` };
        statuses.push(
          (await other.call("POST", "/oauth/authorizations", {}, headers, null)).status,
        );
      }
      expect(statuses).toEqual([401, 201]);
    } finally {
      await other.close();
    }
  });
});

const program = fileURLToPath(new URL("../src/store-command.ts", import.meta.url));

/** Runs `dynokit-store` with something on its input. */
async function command(args: readonly string[], input: string) {
  const child = spawn(
    process.execPath,
    ["--conditions=@dynokit/source", "--import", "tsx", program, ...args],
    { stdio: ["pipe", "pipe", "pipe"] },
  );
  let out = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
  child.stdin.end(input);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out };
}

test("dynokit-store gives a forgotten account another password, beside the platform", async () => {
  const args = ["password", harness.directory];
  expect(await command([...args, admin], "from the shell\n")).toMatchObject({ code: 0 });
  expect(await signIn(admin, "from the shell")).toBe(201);
  expect(await command([...args, "none@example.test"], "from the shell\n")).toMatchObject({
    code: 1,
    out: expect.stringContaining("Couldn't find that account"),
  });
});

for (const engine of engines)
  describe.skipIf(engine.skip)(`a sign-in through the browser on ${engine.name}`, () => {
    test("goes on at another process, or after a restart", async () => {
      const place = await engine.open();
      const first = await new Harness(place.location).start();
      const shared = first.store.engine === "postgres";
      const second = shared ? await new Harness(place.location).start({}, first.directory) : first;
      try {
        await first.api.createAccount({ email: "ann@example.test", password: "correct horse" });
        const begun = (await first.call("POST", "/auth", { description: "a laptop" }, {}, null))
          .json;
        const poll = () =>
          first.call(
            "GET",
            begun.cli_url,
            undefined,
            { authorization: `Bearer ${begun.token}` },
            null,
          );
        const waiting = shared ? poll() : undefined;
        if (!shared) await first.restart();
        const form = new URLSearchParams({ email: "ann@example.test", password: "correct horse" });
        const type = { "content-type": "application/x-www-form-urlencoded" };
        const page = await second.call("POST", begun.browser_url, form.toString(), type, null);
        expect(page.text).toContain("You are signed in");
        const given = await (waiting ?? poll());
        expect(given.json).toEqual({ access_token: expect.stringMatching(/^HRKU-/) });
        const { access_token: token } = given.json;
        const list = await second.call("GET", "/oauth/authorizations", undefined, {}, token);
        expect(list.json[0].description).toBe("a laptop");
        expect((await poll()).status).toBe(404);
      } finally {
        if (second !== first) await second.close();
        await first.close();
        await place.drop();
      }
    });
  });
