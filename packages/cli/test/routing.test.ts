import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runCli } from "./support/in-process.ts";
import { StubApi } from "./support/stub-api.ts";

let api: StubApi;
beforeEach(async () => {
  api = await new StubApi().listen();
});
afterEach(() => api.close());

const cli = (...argv: string[]) =>
  runCli(argv, { DYNOKIT_URL: api.url, DYNOKIT_TOKEN: "secret", DYNOKIT_APP: "shop", HOME: "/" });

test("routing says when the defaults hold", async () => {
  api.on("GET /apps/shop/router", { body: { concurrency: null, timeouts: null } });
  expect((await cli("routing")).out).toMatch(/^shop has the router's defaults\.$/m);
});

test("routing:set takes a value from a file, and text that looks like JSON in quotes", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dynokit-routing-"));
  const file = join(directory, "error.html");
  writeFileSync(file, "<h1>mine</h1>\n");
  api.on("PATCH /apps/shop/router", { body: {} });
  await cli("routing:set", `pages.error=@${file}`, 'maintenance.bypassCookie="12345678"');
  expect(api.seen[0]?.body).toEqual({
    pages: { error: "<h1>mine</h1>\n" },
    maintenance: { bypassCookie: "12345678" },
  });
  rmSync(directory, { recursive: true });
});

test.each([
  [["routing:set", "balance"], /is no key=value/],
  [["routing:set", "timeouts..idleMs=1"], /is no setting/],
  [["routing:set", "affinity=true", "affinity.strip=false"], /as a whole/],
  [["routing:set", "affinity.strip=false", "affinity=true"], /given twice/],
  [["routing:set", "pages.error=@/nowhere/page.html"], /pages\.error can't be read/],
  [["routing:unset", ".balance"], /is no setting/],
])("%j is a mistake that is explained, and asks nothing", async (argv, message) => {
  const { code, err } = await cli(...argv);
  expect(code).toBe(2);
  expect(err).toMatch(message);
  expect(api.lines).toEqual([]);
});
