import { createServer, type RequestListener } from "node:http";
import { RouteTable } from "@dynokit/router";
import { expect, test } from "vitest";
import { fetchPage } from "../src/failures/fetch-page.ts";
import { isPublicAddress } from "../src/failures/public-address.ts";
import { systemClock } from "../src/time/clock.ts";
import { exchange, FakeClock, get, rig } from "./support/harness.ts";
import { listening } from "./support/listening.ts";

/** A host of pages: the paths asked for, and its address. */
async function pages(serve: RequestListener) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url as string);
    serve(request, response);
  });
  return { asked, url: `http://127.0.0.1:${await listening(server)}` };
}

const HTML = { "content-type": "text/html; charset=utf-8" };
const page = (port: number) => exchange(port, get("/", "Accept: text/html"));

test("a page by URL is fetched when it is set, and served inline with the right status", async () => {
  const host = await pages((request, response) =>
    response.writeHead(200, HTML).end(`<h1>mine ${request.url}</h1>`),
  );
  const { port, routes } = await rig(
    [],
    { pages: { errorUrl: `${host.url}/error`, maintenanceUrl: `${host.url}/soon` } },
    { privatePages: true },
  );
  await expect.poll(() => page(port)).toMatch(/^HTTP\/1\.1 503 [\s\S]*<h1>mine \/error<\/h1>$/);
  routes.patch("app", { maintenance: true });
  await expect
    .poll(() => page(port))
    .toMatch(/^HTTP\/1\.1 503 [\s\S]*X-Router-Error: H80[\s\S]*<h1>mine \/soon<\/h1>$/);
  // Other formats are the router's own, and no request asks for a page again.
  expect(await exchange(port, get("/", "Accept: application/json"))).toMatch(/"code":"H80"/);
  expect(host.asked).toHaveLength(2);
  expect(new Set(host.asked)).toEqual(new Set(["/error", "/soon"]));
});

test("what cannot be had leaves the page before it, says why, and is asked for again", async () => {
  let status = 404;
  const host = await pages((request, response) =>
    request.url === "/one"
      ? response.writeHead(200, HTML).end("<p>one</p>")
      : response.writeHead(status, HTML).end("<p>two</p>"),
  );
  const clock = new FakeClock();
  const { port, routes, line } = await rig(
    [],
    { pages: { errorUrl: `${host.url}/one` } },
    { privatePages: true, clock },
  );
  await expect.poll(() => page(port)).toMatch(/<p>one<\/p>/);
  routes.patch("app", { pages: { errorUrl: `${host.url}/two` } });
  expect(await line(/page not fetched/)).toBe(
    'at=warning cause="page not fetched" page=error reason="status 404"',
  );
  expect(await page(port)).toMatch(/<p>one<\/p>/);
  status = 200;
  clock.advance(60_200);
  await expect.poll(() => page(port)).toMatch(/<p>two<\/p>/);
  routes.patch("app", { pages: {} });
  expect(await page(port)).toMatch(/Application error \(H14\)/);
});

test("private addresses are not asked unless the router says so", async () => {
  const host = await pages((_request, response) => response.writeHead(200, HTML).end("secret"));
  const { port, line } = await rig([], { pages: { errorUrl: `${host.url}/` } });
  expect(await line(/page not fetched/)).toMatch(/reason="private address"$/);
  expect(await page(port)).toMatch(/Application error/);
  expect(host.asked).toEqual([]);
});

test("each limit of a fetch has its reason", async () => {
  const host = await pages((request, response) => {
    const path = request.url as string;
    if (path === "/large") response.writeHead(200, HTML).end("x".repeat(262_145));
    else if (path === "/limit") response.writeHead(200, HTML).end("x".repeat(262_144));
    else if (path === "/json") response.writeHead(200, { "content-type": "text/json" }).end("{}");
    else if (path === "/gzip") response.writeHead(200, { ...HTML, "content-encoding": "br" }).end();
    else if (path === "/loop") response.writeHead(302, { location: "/loop" }).end();
    else if (path === "/file") response.writeHead(302, { location: "file:///etc/passwd" }).end();
    else if (path === "/ok") response.writeHead(302, { location: "/limit" }).end();
    else if (path === "/latin")
      response
        .writeHead(200, { "content-type": "text/html; charset=latin1" })
        .end("\xe9", "latin1");
    else if (path === "/cut") {
      response.writeHead(200, { ...HTML, "content-length": 10 }).write("x");
      setImmediate(() => request.socket.destroy());
    }
  });
  const options = { clock: systemClock, lookup: never, allowPrivate: true };
  const reason = (path: string) =>
    fetchPage(`${host.url}${path}`, options).page.then(
      (text) => text.length,
      (error: Error) => error.message,
    );
  expect(await reason("/large")).toBe("larger than 256 KiB");
  expect(await reason("/limit")).toBe(262_144);
  expect(await reason("/json")).toBe("not HTML");
  expect(await reason("/gzip")).toBe("encoded");
  expect(await reason("/loop")).toBe("too many redirects");
  expect(await reason("/file")).toBe("not http or https");
  expect(await reason("/ok")).toBe(262_144);
  expect(await fetchPage(`${host.url}/latin`, options).page).toBe("é");
  expect(await reason("/cut")).toMatch(/cut|ECONNRESET|aborted/);
  const clock = new FakeClock();
  const hanging = fetchPage(`${host.url}/hang`, { ...options, clock });
  await expect.poll(() => host.asked.at(-1)).toBe("/hang");
  clock.advance(10_000);
  await expect(hanging.page).rejects.toThrow("timeout");
  expect(clock.pending).toBe(0);
});

function never(): never {
  throw new Error("an address needs no look-up");
}

test("a name that leads to a private address, with or without others, is not asked", async () => {
  const host = await pages((_request, response) => response.end());
  const looked: string[] = [];
  const port = new URL(host.url).port;
  const run = (name: string, addresses: readonly string[]) =>
    fetchPage(`http://${name}:${port}/`, {
      clock: systemClock,
      allowPrivate: false,
      lookup: (hostname, _options, callback) => {
        looked.push(hostname);
        callback(
          null,
          addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
        );
      },
    }).page.catch((error: Error) => error.message);
  expect(await run("app.test", ["127.0.0.1"])).toBe("private address");
  expect(await run("app.test", ["93.184.216.34", "10.0.0.1"])).toBe("private address");
  expect(await run("app.test", ["::ffff:7f00:1"])).toBe("private address");
  expect(looked).toEqual(["app.test", "app.test", "app.test"]);
  expect(host.asked).toEqual([]);
});

test("only addresses of the public internet are public", () => {
  for (const address of ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"])
    expect(isPublicAddress(address), address).toBe(true);
  for (const address of [
    "127.0.0.1",
    "10.1.2.3",
    "172.31.255.255",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "::ffff:127.0.0.1",
    "::ffff:a00:1",
    "nonsense",
  ])
    expect(isPublicAddress(address), address).toBe(false);
});

test("compat heroku frames the URL and fetches nothing", async () => {
  const host = await pages((_request, response) => response.end());
  const { port } = await rig(
    [],
    { pages: { errorUrl: `${host.url}/?a="&b` } },
    { privatePages: true, compat: "heroku" },
  );
  expect(await page(port)).toContain(`<iframe src="${host.url}/?a=%22&amp;b"`);
  expect(host.asked).toEqual([]);
});

test("a URL that is no page is refused when it is set", () => {
  const routes = new RouteTable();
  for (const errorUrl of ["page.html", "ftp://a.test/", "http://user:pass@a.test/", "file:///x"])
    expect(() => routes.set("app", { pages: { errorUrl } })).toThrow(/pages\.errorUrl/);
});

test("closing the router ends fetches that hang", async () => {
  const host = await pages(() => {});
  const { router } = await rig([], { pages: { errorUrl: host.url } }, { privatePages: true });
  await expect.poll(() => host.asked).toEqual(["/"]);
  await router.close({ drainMs: 0 });
  expect(router.inspect().timers).toBe(0);
});
