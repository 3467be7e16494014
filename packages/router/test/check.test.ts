import { readFileSync } from "node:fs";
import { type AppRouteOptions, RouterError, RouteTable } from "@dynokit/router";
import { describe, expect, test } from "vitest";
import { rig } from "./support/harness.ts";

const fixture = (name: string) =>
  readFileSync(new URL(`./fixtures/${name}`, import.meta.url), "utf8");

describe("check", () => {
  const routes = new RouteTable();
  routes.set("blog", { hosts: ["blog.test"] });
  const refusal = (options: unknown): RouterError => {
    try {
      routes.check("shop", options as AppRouteOptions);
    } catch (error) {
      if (RouterError.is(error)) return error;
      throw error;
    }
    throw new Error("not refused");
  };

  test.each<[options: unknown, path: string, reason: RegExp]>([
    [{ concurrency: 0 }, "concurrency", /expected number to be >=1/],
    [{ timeouts: { idleMs: "long" } }, "timeouts.idleMs", /expected number/],
    [{ timeouts: { paths: [{ prefix: "x", firstByteMs: 1 }] } }, "timeouts.paths.0.prefix", /"\/"/],
    [{ timeouts: { idle: 1 } }, "timeouts", /"idle"/],
    [{ nothing: 1 }, "", /"nothing"/],
    [{ balance: "fast" }, "balance", /"p2c"/],
    [{ balance: { hash: "host" } }, "balance.hash", /"header"/],
    [{ affinity: { strip: "yes" } }, "affinity.strip", /expected boolean/],
    [{ affinity: { hash: "path", name: "x" } }, "affinity", /"hash"/],
    [{ maintenance: 5 }, "maintenance", /expected boolean or object/],
    [{ pages: { errorUrl: "ftp://x" } }, "pages.errorUrl", /http or https URL/],
    [{ access: { deny: ["10.0.0.0/33"] } }, "access.deny", /"10\.0\.0\.0\/33" is not an IP/],
    [{ backendTls: { key: "k3y", cert: "c" } }, "backendTls", /PEM/],
    [{ health: {} }, "health.path", /expected string/],
  ])("refuses %j with the place and the reason", (options, path, reason) => {
    const { code, message, details } = refusal(options);
    expect(code).toBe("invalid-option");
    expect(details).toMatchObject({ path, reason: expect.stringMatching(reason) });
    expect(message).toMatch(reason);
    expect(message).not.toContain("k3y");
  });

  test("refuses a host of another app, and changes nothing", () => {
    const { version } = routes;
    expect(refusal({ hosts: ["blog.test"] }).code).toBe("host-taken");
    routes.check("shop", { hosts: ["shop.test"], concurrency: 1, tracing: "w3c" });
    routes.check("blog", { hosts: ["blog.test"] });
    expect(routes.version).toBe(version);
    expect(routes.resolve("shop.test")).toBeUndefined();
  });
});

test("the admin listener shows settings without their secrets", async () => {
  const { router, routes } = await rig([], {
    backendTls: { cert: fixture("app.crt"), key: fixture("app.key"), verify: false },
    maintenance: { bypassCookie: "let-me-through", retryAfterSeconds: 9 },
  });
  const { host, port } = await router.listenAdmin();
  const text = await (await fetch(`http://${host}:${port}/table`)).text();
  expect(JSON.parse(text).apps[0].options).toMatchObject({
    backendTls: { cert: fixture("app.crt"), key: "(hidden)", verify: false },
    maintenance: { bypassCookie: "(hidden)", retryAfterSeconds: 9 },
  });
  expect(text).not.toMatch(/PRIVATE KEY|let-me-through/);
  // What workers and other machines get is whole.
  expect(JSON.stringify(routes.snapshot())).toContain("let-me-through");
});
