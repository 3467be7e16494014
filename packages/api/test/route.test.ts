import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestListener,
  request,
  type Server,
} from "node:http";
import type { AddressInfo } from "node:net";
import { Router, RouteTable } from "@dynokit/router";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Harness } from "./support/harness.ts";

let harness: Harness;
let id = "";
const route = () => harness.routes.routes.get(id);
const config = (values: object) => harness.call("PATCH", "/apps/shop/config-vars", values);
const complaints = () => harness.logplex.lines(id).filter((line) => line.includes("not used"));

describe("the route of an app", () => {
  beforeEach(async () => {
    harness = await new Harness().start();
    id = await harness.app("shop");
  });
  afterEach(() => harness.close());

  test("has the pages that config vars of the current release name", async () => {
    expect(route()).not.toHaveProperty("pages");
    await config({
      ERROR_PAGE_URL: "https://pages.example.com/error.html",
      MAINTENANCE_PAGE_URL: "http://pages.example.com/back-soon",
      WORD: "blue",
    });
    expect(route()?.pages).toEqual({
      errorUrl: "https://pages.example.com/error.html",
      maintenanceUrl: "http://pages.example.com/back-soon",
    });
    await config({ ERROR_PAGE_URL: null });
    expect(route()?.pages).toEqual({ maintenanceUrl: "http://pages.example.com/back-soon" });
    await config({ MAINTENANCE_PAGE_URL: "" });
    expect(route()).not.toHaveProperty("pages");
    expect(complaints()).toEqual([]);
  });

  test.each([
    "ftp://pages.example.com/error.html",
    "/error.html",
    "https://someone:s3cret@pages.example.com/",
    `https://pages.example.com/${"s3cret".repeat(400)}`,
  ])("leaves out %.40s and says so once, without the value", async (value) => {
    await config({ ERROR_PAGE_URL: value, MAINTENANCE_PAGE_URL: "https://pages.example.com/" });
    await config({ WORD: "red" });
    await harness.call("PATCH", "/apps/shop", { maintenance: true });
    expect(route()).toMatchObject({
      hosts: ["shop.apps.test"],
      maintenance: true,
      pages: { maintenanceUrl: "https://pages.example.com/" },
    });
    expect(route()?.pages).not.toHaveProperty("errorUrl");
    expect(complaints()).toEqual([expect.stringContaining("Error: ERROR_PAGE_URL not used: ")]);
    expect(harness.logplex.lines(id).join("\n")).not.toContain("s3cret");
    await config({ ERROR_PAGE_URL: "https://pages.example.com/error" });
    await config({ ERROR_PAGE_URL: value });
    expect(complaints()).toHaveLength(2);
  });

  test("binds visitors to dynos while the feature is on", async () => {
    const feature = (enabled: boolean) =>
      harness.call("PATCH", "/apps/shop/features/http-session-affinity", { enabled });
    expect(route()).not.toHaveProperty("affinity");
    expect((await feature(true)).json).toMatchObject({ enabled: true });
    expect(route()).toMatchObject({ affinity: true });
    await harness.restart();
    expect(route()).toMatchObject({ affinity: true });
    await feature(false);
    expect(route()).not.toHaveProperty("affinity");
  });
});

describe("through a router", () => {
  const servers: Server[] = [];
  let routes: RouteTable;
  let router: Router;
  let port = 0;

  beforeEach(async () => {
    routes = new RouteTable();
    router = new Router({ routes, privatePages: true });
    ({ port } = await router.listen({ port: 0, host: "127.0.0.1" }));
    harness = await new Harness().start({ routes });
    id = await harness.app("shop");
  });
  afterEach(async () => {
    await harness.close();
    await router.close({ drainMs: 0 });
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function serve(listener: RequestListener): Promise<number> {
    const server = createServer(listener).listen(0, "127.0.0.1");
    servers.push(server);
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }

  async function visit(fields: OutgoingHttpHeaders = {}) {
    const asked = request({
      port,
      host: "127.0.0.1",
      agent: false,
      headers: { host: "shop.apps.test", ...fields },
    });
    asked.end();
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    let text = "";
    for await (const chunk of answer) text += chunk;
    return { status: answer.statusCode, text, cookies: answer.headers["set-cookie"] ?? [] };
  }

  test("an app's pages, time limits and cookies come with the API's calls", async () => {
    await harness.deploy("shop", { web: "node web.js" });
    let silent = false;
    const dyno = await serve((_, response) => {
      if (!silent) response.end("from the dyno");
    });
    routes.setBackend(id, { id: "one", state: "up", address: { host: "127.0.0.1", port: dyno } });
    expect(await visit()).toEqual({ status: 200, text: "from the dyno", cookies: [] });

    await harness.call("PATCH", "/apps/shop/features/http-session-affinity", { enabled: true });
    expect((await visit()).cookies).toEqual([expect.stringMatching(/affinity=.+HttpOnly/)]);

    silent = true;
    await harness.call("PATCH", "/apps/shop/router", { timeouts: { firstByteMs: 20 } });
    expect(await visit()).toMatchObject({ status: 503, text: expect.stringContaining("(H12)") });

    const pages = await serve((asked, response) =>
      response.setHeader("content-type", "text/html").end(`<h1>mine ${asked.url}</h1>`),
    );
    await config({ MAINTENANCE_PAGE_URL: `http://127.0.0.1:${pages}/soon` });
    await harness.call("PATCH", "/apps/shop", { maintenance: true });
    await expect
      .poll(() => visit({ accept: "text/html" }))
      .toMatchObject({ status: 503, text: "<h1>mine /soon</h1>" });
  });
});
