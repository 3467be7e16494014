import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { BuiltSlug } from "../src/index.ts";
import { makeBench, makeTree, namesIn, temporaryDirectory, writeTree } from "./support/fixtures.ts";

/** The slug as a dyno would have it. */
async function unpack(slug: BuiltSlug): Promise<string> {
  const directory = await temporaryDirectory();
  execFileSync("tar", ["-xzf", slug.path, "-C", directory]);
  return directory;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Runs a process type's command in an unpacked slug until the test ends. */
async function boot(slug: BuiltSlug, type = "web"): Promise<{ url: string; child: ChildProcess }> {
  const directory = await unpack(slug);
  const port = await freePort();
  const child = spawn("sh", ["-c", `exec ${slug.processTypes[type]}`], {
    cwd: directory,
    env: { PATH: process.env["PATH"], HOME: directory, PORT: String(port) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  await new Promise<void>((resolve, reject) => {
    child.once("exit", () => reject(new Error("the process ended")));
    child.stdout!.on("data", (chunk: Buffer) => {
      if (chunk.includes("port")) resolve();
    });
  });
  return { url: `http://127.0.0.1:${port}`, child };
}

describe("the nodejs buildpack", () => {
  it("builds an app without dependencies, without a network", async () => {
    const bench = await makeBench();
    const path = await makeTree({
      "package.json": JSON.stringify({
        name: "demo",
        engines: { node: ">=18" },
        scripts: { start: "node server.js", build: 'node -e "console.log(process.env.GREETING)"' },
      }),
      "server.js":
        'require("http").createServer((q, s) => s.end("hi")).listen(process.env.PORT, () => console.log("port"))',
    });
    const slug = await bench.builder.build(
      bench.request({ source: { kind: "directory", path }, env: { GREETING: "hello there" } }),
    );
    expect(bench.text()).toContain("-----> Node.js app detected\n");
    expect(bench.text()).toContain("       engines.node (package.json):   >=18\n");
    expect(bench.text()).toContain("       No dependencies in package.json\n");
    expect(bench.text()).toContain("       hello there\n");
    expect(bench.text()).toContain("-----> Build succeeded!\n");
    expect({ ...slug.processTypes }).toEqual({ web: "npm start" });
    expect(slug.buildpackDescription).toBe("Node.js");
    expect(await namesIn(slug.path)).toContain(".profile.d/nodejs.sh");
  });

  it("installs from the lockfile, builds with devDependencies and prunes them", async () => {
    const bench = await makeBench();
    const path = await makeTree({
      "package.json": JSON.stringify({
        name: "demo",
        version: "1.0.0",
        scripts: { "heroku-postbuild": "built" },
        dependencies: { runtime: "file:./vendor/runtime" },
        devDependencies: { builder: "file:./vendor/builder" },
      }),
      "vendor/runtime/package.json": JSON.stringify({ name: "runtime", version: "1.0.0" }),
      "vendor/runtime/index.js": "module.exports = 42",
      "vendor/builder/package.json": JSON.stringify({
        name: "builder",
        version: "1.0.0",
        bin: { built: "built.js" },
      }),
      "vendor/builder/built.js": {
        run: '#!/usr/bin/env node\nrequire("fs").writeFileSync("out.txt", String(require("runtime")))',
      },
      "app.js": "console.log(require('runtime'))",
      Procfile: "web: node app.js\n",
    });
    execFileSync("npm", ["install", "--package-lock-only", "--offline", "--no-audit"], {
      cwd: path,
      stdio: "ignore",
    });
    const slug = await bench.builder.build(bench.request({ source: { kind: "directory", path } }));
    expect(bench.text()).toContain("       Installing node modules (package-lock.json)\n");
    expect(bench.text()).toContain("-----> Pruning devDependencies\n");
    const directory = await unpack(slug);
    expect(await readFile(join(directory, "out.txt"), "utf8")).toBe("42");
    expect(execFileSync("node", ["app.js"], { cwd: directory }).toString()).toBe("42\n");
    const names = await namesIn(slug.path);
    expect(names).toContain("node_modules/runtime");
    expect(names).not.toContain("node_modules/builder");
  });

  it("fails on broken manifests, failing scripts and lockfiles of two managers", async () => {
    const bench = await makeBench();
    const build = async (files: Record<string, string>) =>
      await bench.builder.build(
        bench.request({ source: { kind: "directory", path: await makeTree(files) } }),
      );
    await expect(build({ "package.json": "{" })).rejects.toMatchObject({ code: "build-failed" });
    expect(bench.text()).toContain(" !     package.json can't be read");
    await expect(
      build({ "package.json": JSON.stringify({ scripts: { build: "exit 3" } }) }),
    ).rejects.toMatchObject({ code: "build-failed", message: /failed to compile Node\.js app/ });
    await expect(
      build({ "package.json": "{}", "yarn.lock": "", "package-lock.json": "{}" }),
    ).rejects.toMatchObject({ code: "build-failed" });
    expect(bench.text()).toContain("lockfiles of several package managers");
    await expect(
      build({
        "package.json": JSON.stringify({ dependencies: { gone: "file:./gone" } }),
        "package-lock.json": "{}",
      }),
    ).rejects.toMatchObject({ code: "build-failed" });
    expect(await bench.leftovers()).toEqual([]);
  });

  it("warns about a Node version that the stack does not have", async () => {
    const bench = await makeBench();
    const path = await makeTree({
      "package.json": JSON.stringify({ engines: { node: "8.x" }, scripts: { start: "true" } }),
    });
    await bench.builder.build(bench.request({ source: { kind: "directory", path } }));
    expect(bench.text()).toContain(' !     The app asks for Node "8.x"');
  });
});

describe("the static buildpack", () => {
  const site = {
    "public/index.html": "<h1>home</h1>",
    "public/about.html": "about",
    "public/docs/index.html": "docs",
    "public/404.html": "lost",
    "public/data.bin": "0123456789",
    "public/.env": "SECRET=1",
    "secret.txt": "outside",
    "static.json": JSON.stringify({
      clean_urls: true,
      error_page: "404.html",
      routes: { "/app/**": "index.html" },
      headers: { "/docs/**": { "X-Docs": "yes" } },
    }),
  };

  async function served() {
    const bench = await makeBench();
    const path = await makeTree(site);
    const slug = await bench.builder.build(bench.request({ source: { kind: "directory", path } }));
    expect(bench.text()).toContain("-----> Static app detected\n");
    expect({ ...slug.processTypes }).toEqual({ web: "node .dynokit/static-server.mjs" });
    return await boot(slug);
  }

  it("serves pages, clean URLs, routes, headers and the error page", async () => {
    const { url, child } = await served();
    const get = async (path: string, init: RequestInit = {}) => {
      const response = await fetch(url + path, { redirect: "manual", ...init });
      return { status: response.status, text: await response.text(), headers: response.headers };
    };
    expect(await get("/")).toMatchObject({ status: 200, text: "<h1>home</h1>" });
    expect((await get("/")).headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(await get("/about")).toMatchObject({ status: 200, text: "about" });
    expect((await get("/docs?x=1")).headers.get("location")).toBe("/docs/?x=1");
    expect((await get("/docs/")).headers.get("x-docs")).toBe("yes");
    expect(await get("/app/deep/link")).toMatchObject({ status: 200, text: "<h1>home</h1>" });
    expect(await get("/nowhere")).toMatchObject({ status: 404, text: "lost" });
    const etag = (await get("/about.html")).headers.get("etag")!;
    expect(await get("/about.html", { headers: { "if-none-match": etag } })).toMatchObject({
      status: 304,
      text: "",
    });
    expect(await get("/data.bin", { headers: { range: "bytes=2-4" } })).toMatchObject({
      status: 206,
      text: "234",
    });
    expect(await get("/data.bin", { headers: { range: "bytes=-3" } })).toMatchObject({
      text: "789",
    });
    expect(await get("/data.bin", { headers: { range: "bytes=99-" } })).toMatchObject({
      status: 416,
    });
    expect((await get("/data.bin", { method: "HEAD" })).headers.get("content-length")).toBe("10");
    expect(await get("/", { method: "POST" })).toMatchObject({ status: 405 });
    for (const path of ["/.env", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%00", "/%zz"])
      expect((await get(path)).text, path).not.toMatch(/SECRET|outside/);
    expect((await get("//evil.example/docs")).headers.get("location") ?? "").not.toMatch(/^\/\//);
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  it("leaves apps with a web process of their own alone and checks static.json", async () => {
    const bench = await makeBench();
    const build = async (files: Record<string, string>) =>
      await bench.builder.build(
        bench.request({ source: { kind: "directory", path: await makeTree(files) } }),
      );
    const own = await build({ "index.html": "x", Procfile: "web: ./server\n" });
    expect(own.buildpackDescription).toBe("Procfile");
    for (const settings of ["{", '{"root":"../.."}', '{"root":"missing"}', "[]"])
      await expect(
        build({ "index.html": "x", "static.json": settings }),
        settings,
      ).rejects.toMatchObject({ code: "build-failed" });
  });
});

describe("packaging", () => {
  it("ships the buildpacks, executable", async () => {
    const root = join(import.meta.dirname, "..");
    const copy = await temporaryDirectory();
    await mkdir(join(copy, "p"));
    await cp(root, join(copy, "p"), {
      recursive: true,
      filter: (from) => !/node_modules|\/dist|\/test/.test(from.slice(root.length)),
    });
    await writeTree(join(copy, "p"), { "dist/index.js": "" });
    const listed = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: join(copy, "p"),
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [{ files }] = JSON.parse(listed.toString()) as [
      { files: { path: string; mode: number }[] },
    ];
    for (const name of ["nodejs", "static", "procfile"])
      for (const program of ["detect", "compile", "release"]) {
        const file = files.find(({ path }) => path === `buildpacks/${name}/bin/${program}`);
        expect(file?.mode ?? 0, `${name}/${program}`).toBe(0o755);
      }
  });
});
