import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ManualClock } from "./support/clock.ts";
import { Harness } from "./support/harness.ts";

interface Post {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const posts: Post[] = [];
let answer = 204;
const receiver = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk) => {
    body += chunk;
  });
  request.on("end", () => {
    posts.push({ headers: request.headers, body });
    response.writeHead(answer).end();
    receiver.emit("post");
  });
});
let harness: Harness;
let clock: ManualClock;
let url = "";

beforeEach(async () => {
  posts.length = 0;
  answer = 204;
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
  clock = new ManualClock();
  harness = await new Harness().start({ clock, webhooks: { allowPrivate: true } });
  await harness.app("shop");
});
afterEach(async () => {
  await harness.close();
  receiver.close();
  receiver.closeAllConnections();
  await once(receiver, "close");
});

const hook = (body: Record<string, unknown> = {}) =>
  harness.call("POST", "/apps/shop/webhooks", {
    include: ["api:release"],
    level: "sync",
    url,
    ...body,
  });

async function received(count: number): Promise<void> {
  while (posts.length < count) await once(receiver, "post");
}

/** The deliveries of the app once one of them has reached a state. */
async function deliveries(
  wanted: (rows: { status: string; num_attempts: number }[]) => boolean,
  query = "",
) {
  for (;;) {
    const listed = await harness.call("GET", `/apps/shop/webhook-deliveries${query}`, undefined, {
      range: "seq ..; order=desc,max=1000",
    });
    expect(listed.status, listed.text).toBe(200);
    if (wanted(listed.json)) return listed.json;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("a delivery is signed over its raw body and carries the event", async () => {
  const made = await hook({ secret: "a secret", authorization: "Bearer x" });
  expect(made.headers.get("heroku-webhook-secret")).toBe("a secret");
  await harness.call("PATCH", "/apps/shop/config-vars", { WORD: "blue" });
  await received(1);
  const { headers, body } = posts[0] as Post;
  expect(headers["heroku-webhook-hmac-sha256"]).toBe(
    createHmac("sha256", "a secret").update(body).digest("base64"),
  );
  expect(headers.authorization).toBe("Bearer x");
  const document = JSON.parse(body);
  expect(document).toMatchObject({
    action: "create",
    resource: "release",
    data: { version: 2 },
    webhook_metadata: { event: { include: "api:release" }, webhook: { id: made.json.id } },
  });
  const [row] = await deliveries(([first]) => first?.status === "succeeded");
  expect(row.last_attempt).toMatchObject({ code: 204, status: "succeeded", error_class: null });
  expect(body).not.toContain("blue");
});

test("sync tries again until the receiver takes it; notify does not", async () => {
  answer = 500;
  await hook();
  await hook({ level: "notify" });
  await harness.call("PATCH", "/apps/shop/config-vars", { WORD: "blue" });
  await received(2);
  const rows = await deliveries((all) => all.every(({ num_attempts }) => num_attempts === 1));
  expect(rows.map((row: { status: string }) => row.status).sort()).toEqual(["failed", "retrying"]);
  expect(await deliveries(() => true, "?eq[status]=retrying")).toHaveLength(1);
  const retrying = rows.find((row: { status: string }) => row.status === "retrying");
  expect(retrying.last_attempt).toMatchObject({ code: 500, status: "failed" });
  answer = 200;
  clock.advance(Date.parse(retrying.next_attempt_at) - clock.now() + 1000);
  await received(3);
  const [after] = await deliveries(
    (all) => all.some(({ num_attempts }) => num_attempts === 2),
    "?eq[status]=succeeded",
  );
  expect(after).toMatchObject({ id: retrying.id, num_attempts: 2, next_attempt_at: null });
  const attempts = posts.map(({ body }) => JSON.parse(body).webhook_metadata);
  expect(attempts[2].delivery).toEqual(
    attempts.find((one) => one.delivery.id === after.id)?.delivery,
  );
  expect(new Set(attempts.map((one) => one.attempt.id)).size).toBe(3);
});

test("the end of an app is told to those that asked for it, and nothing is left of them", async () => {
  answer = 500;
  await hook({ include: ["api:app"] });
  await hook({ include: ["api:app"], level: "notify" });
  await hook();
  const { json: app } = await harness.call("DELETE", "/apps/shop");
  await received(2);
  for (const { body } of posts)
    expect(JSON.parse(body)).toMatchObject({
      action: "destroy",
      resource: "app",
      data: { id: app.id, name: "shop" },
    });
  const { db } = harness.store;
  const left = async () => ({
    webhooks: (await db.selectFrom("webhooks").select("level").execute()).map((row) => row.level),
    deliveries: await db.selectFrom("deliveries").select("next_attempt_at").execute(),
  });
  await expect.poll(async () => (await left()).webhooks).toEqual(["sync"]);
  await expect.poll(async () => (await left()).deliveries[0]?.next_attempt_at).toBeTruthy();
  const [retried] = (await left()).deliveries;
  answer = 200;
  clock.advance(Date.parse(retried?.next_attempt_at ?? "") - clock.now() + 1000);
  await received(3);
  await expect.poll(left).toEqual({ webhooks: [], deliveries: [] });
});

test("a webhook that failed for 72 hours gets one attempt of each event", async () => {
  answer = 500;
  await hook();
  await harness.call("PATCH", "/apps/shop/config-vars", { WORD: "first" });
  await received(1);
  await deliveries(([row]) => row?.status === "retrying");
  const { db } = harness.store;
  const hours73 = new Date(clock.now() - 73 * 3_600_000).toISOString();
  await db.updateTable("webhooks").set({ failing_since: hours73 }).execute();
  await harness.call("PATCH", "/apps/shop/config-vars", { WORD: "second" });
  await received(2);
  const rows = await deliveries((all) => all.some(({ status }) => status === "skipped"));
  expect(rows.map((row: { status: string }) => row.status)).toEqual(["skipped", "retrying"]);
  expect(rows[0]).toMatchObject({ num_attempts: 1, next_attempt_at: null });
});

test("deliveries are listed by seq, newest first, in pages", async () => {
  await hook();
  await hook();
  for (const word of ["a", "b", "c"])
    await harness.call("PATCH", "/apps/shop/config-vars", { WORD: word });
  const all = await deliveries((rows) => rows.length === 6);
  const ids: string[] = [];
  let range = "seq ..; order=desc,max=4";
  for (;;) {
    const page = await harness.call("GET", "/apps/shop/webhook-deliveries", undefined, { range });
    ids.push(...page.json.map((row: { id: string }) => row.id));
    const next = page.headers.get("next-range");
    if (next === null) break;
    range = next;
  }
  expect(ids).toEqual(all.map((row: { id: string }) => row.id));
  expect(JSON.stringify(all)).not.toContain('"seq"');
  const bad = await harness.call("GET", "/apps/shop/webhook-deliveries?eq[status]=nope");
  expect(bad.status).toBe(422);
});
