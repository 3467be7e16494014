import { sql } from "kysely";
import { expect, test } from "vitest";
import { Harness } from "./support/harness.ts";

test("a full disk refuses what writes, says so to client and operator, and passes", async () => {
  const said: string[] = [];
  const log = (details: unknown, message?: string) => {
    said.push(`${message}: ${JSON.stringify(details)}`);
  };
  const logger = { debug() {}, info() {}, warn: log, error: log };
  const harness = await new Harness().start({ logger });
  await harness.app("shop");
  const { db } = harness.store;
  const pages = async (limit: number) =>
    await sql.raw(`pragma max_page_count = ${limit}`).execute(db);
  const set = (value: string) =>
    harness.call("PATCH", "/apps/shop/config-vars", { BIG: value.repeat(30_000) });

  // The database may not grow any more: what the engine says is the same as on a full disk.
  await pages(1);
  const answer = await set("x");
  expect(answer).toMatchObject({
    status: 503,
    json: { id: "service_unavailable", message: expect.stringContaining("disk") },
  });
  expect(said.join("\n")).toContain("database or disk is full");
  expect((await harness.call("GET", "/apps/shop/config-vars")).json).toEqual({});
  await pages(1_000_000);
  expect((await set("y")).status).toBe(200);
  await harness.close();
});
