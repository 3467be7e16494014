import { afterAll, beforeAll, expect, test } from "vitest";
import { ManualClock } from "./support/clock.ts";
import { Harness } from "./support/harness.ts";

const harness = new Harness();
const clock = new ManualClock();
beforeAll(async () => {
  await harness.start({ clock });
  await harness.api.createAccount({ email: "ann@example.test", password: "correct horse" });
});
afterAll(() => harness.close());

async function begin() {
  const begun = await harness.call("POST", "/auth", { description: "a laptop" }, {}, null);
  expect(begun.status, begun.text).toBe(200);
  return begun.json as { browser_url: string; cli_url: string; token: string };
}

const signIn = (path: string, password: string) =>
  harness.call(
    "POST",
    path,
    new URLSearchParams({ email: "ann@example.test", password }).toString(),
    { "content-type": "application/x-www-form-urlencoded" },
    null,
  );

const poll = (path: string, token: string) =>
  harness.call("GET", path, undefined, { authorization: `Bearer ${token}` }, null);

test("a browser signs in while the CLI waits, and the token is given once", async () => {
  const { browser_url, cli_url, token } = await begin();
  // The CLI puts its host in front of both.
  expect([browser_url, cli_url].every((path) => path.startsWith("/"))).toBe(true);
  const shown = await harness.call("GET", browser_url, undefined, {}, null);
  expect(shown.text).toContain('<form method="post">');
  const waiting = poll(cli_url, token);
  expect((await signIn(browser_url, "wrong")).status).toBe(401);
  expect((await signIn(browser_url, "correct horse")).text).toContain("You are signed in");
  const given = await waiting;
  expect(given.headers.get("content-type")).toBe("application/json");
  expect(given.json).toEqual({ access_token: expect.stringMatching(/^HRKU-/) });
  const account = await harness.call("GET", "/account", undefined, {}, given.json.access_token);
  expect(account.json.email).toBe("ann@example.test");
  expect((await poll(cli_url, token)).status).toBe(404);
});

test("the wait is kept alive, ends with the sign-in's time, and outlives a client that went", async () => {
  const { cli_url, token } = await begin();
  const gone = new AbortController();
  const first = await harness.api.fetch(
    new Request(`http://api.test${cli_url}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: gone.signal,
    }),
  );
  const reader = first.body?.getReader();
  expect(String(Buffer.from((await reader?.read())?.value ?? []))).toBe(" ");
  await reader?.cancel();
  gone.abort();
  const second = await harness.api.fetch(
    new Request(`http://api.test${cli_url}`, { headers: { authorization: `Bearer ${token}` } }),
  );
  const answer = second.text();
  let text: string | undefined;
  void answer.then((whole) => {
    text = whole;
  });
  await expect
    .poll(
      () => {
        clock.advance(5000);
        return text;
      },
      { interval: 1, timeout: 30_000 },
    )
    .toMatch(/^ {3,}\{/);
  expect(JSON.parse(text ?? "")).toEqual({ error: expect.stringContaining("Nobody signed in") });
  expect((await poll(cli_url, token)).status).toBe(404);
});

test("nobody else gets the token, and unknown sign-ins are not found", async () => {
  const { browser_url, cli_url } = await begin();
  await signIn(browser_url, "correct horse");
  expect((await poll(cli_url, "another-secret")).status).toBe(404);
  expect((await signIn("/auth/browser/none", "correct horse")).status).toBe(404);
  expect((await harness.call("GET", "/auth/browser/none", undefined, {}, null)).status).toBe(404);
});

test("the token in use is shown such that the CLI's logout revokes it", async () => {
  const token = await harness.api.createToken({ account: "ann@example.test" });
  const get = async (path: string) => (await harness.call("GET", path, undefined, {}, token)).json;
  const list = await get("/oauth/authorizations");
  const mine = await get("/oauth/authorizations/~");
  const asterisks = "*".repeat(10);
  const shown = list.find(({ id }: { id: string }) => id === mine.id).access_token.token;
  expect(token.startsWith(shown.slice(0, shown.indexOf(asterisks)))).toBe(true);
  expect(mine.access_token.token).not.toContain(asterisks);
  expect(token).not.toBe(mine.access_token.token);
});
