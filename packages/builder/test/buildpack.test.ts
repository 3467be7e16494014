import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import { type BuildCommand, type BuildpackReference, processRunner } from "../src/index.ts";
import {
  makeBench,
  makeTree,
  namesIn,
  processesWith,
  rawTar,
  temporaryDirectory,
} from "./support/fixtures.ts";

const app = { Procfile: "web: from-procfile\n" };

/** A builder that knows the given buildpacks by their names. */
async function benchWith(
  buildpacks: Record<string, Record<string, string>>,
  options: Parameters<typeof makeBench>[0] = {},
) {
  const directories: Record<string, string> = {};
  for (const [name, programs] of Object.entries(buildpacks))
    directories[name] = await makeTree(
      Object.fromEntries(
        Object.entries(programs).map(([program, script]) => [
          program.includes("/") ? program : `bin/${program}`,
          { run: `#!/bin/sh\n${script}\n` },
        ]),
      ),
    );
  const bench = await makeBench({ buildpacks: directories, ...options });
  const references: BuildpackReference[] = Object.keys(buildpacks).map((url) => ({ url }));
  return {
    ...bench,
    build: async (over: Partial<Parameters<typeof bench.request>[0]> = {}) =>
      await bench.builder.build(
        bench.request({
          source: { kind: "directory", path: await makeTree(app) },
          buildpacks: references,
          ...over,
        }),
      ),
  };
}

describe("the classic buildpack interface", () => {
  it("keeps the package in which the builder's directory is from the code that it builds", async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, "package.json"), '{"name":"outer","type":"module"}');
    const bench = await benchWith(
      { mine: { detect: "echo Mine", compile: `cd "$1" && "${process.execPath}" tool.js` } },
      { directory: join(directory, "builds") },
    );
    await bench.build({
      source: {
        kind: "directory",
        path: await makeTree({ ...app, "tool.js": 'require("node:fs"); console.log("CommonJS")' }),
      },
    });
    expect(bench.text()).toContain("CommonJS\n");
  });

  it("gives config vars as files only, and the documented variables", async () => {
    const bench = await benchWith({
      mine: {
        detect: 'echo "Mine"',
        compile: [
          'test -z "$SECRET" || exit 7',
          'echo "args=$#"',
          'printf "%s" "$(cat "$3/SECRET")" > "$1/secret"',
          'echo "$STACK $REQUEST_ID $SOURCE_VERSION"',
          'ls "$3"',
          "echo names=$(env | cut -d= -f1 | sort)",
        ].join("\n"),
      },
    });
    const slug = await bench.build({ env: { SECRET: "a b'\"\n$c" }, commit: "c0ffee" });
    expect(bench.text()).toContain("-----> Using buildpack: mine\n-----> Mine app detected\n");
    expect(bench.text()).toContain("args=3\nheroku-24 build-1 c0ffee\nSECRET\n");
    expect(slug.buildpackDescription).toBe("Mine");
    expect(slug.commit).toBe("c0ffee");
    const names = /^names=(.*)$/m.exec(bench.text())?.[1];
    expect(
      names?.split(" ").filter((name) => !["_", "PWD", "OLDPWD", "SHLVL"].includes(name)),
    ).toEqual([
      "DYNOKIT_BUILD_MARK",
      "HOME",
      "LANG",
      "PATH",
      "REQUEST_ID",
      "SOURCE_VERSION",
      "STACK",
      "TMPDIR",
    ]);
  });

  it("lets the Procfile override the last buildpack's default types", async () => {
    const bench = await benchWith({
      one: {
        detect: "echo One",
        compile: "true",
        release: "printf 'default_process_types:\\n  lost: x\\n'",
      },
      two: {
        detect: "echo Two",
        compile: "true",
        release:
          "printf -- '---\\naddons: []\\ndefault_process_types:\\n  web: default\\n  console: irb\\n'",
      },
    });
    const slug = await bench.build();
    expect({ ...slug.processTypes }).toEqual({ web: "from-procfile", console: "irb" });
    expect(bench.text()).toContain("Default types for buildpack -> web, console\n");
    expect(slug.buildpackDescription).toBe("One, Two");
  });

  it("gives a later buildpack what an earlier one exports", async () => {
    const bench = await benchWith({
      one: {
        detect: "echo One",
        compile: `printf 'export TOOL="here it is"\\n' > "$(dirname "$0")/../export"`,
      },
      two: { detect: "echo Two", compile: 'echo "tool=$TOOL"' },
    });
    await bench.build();
    expect(bench.text()).toContain("tool=here it is\n");
  });

  it("keeps the cache of successful builds and no other", async () => {
    const bench = await benchWith({
      mine: {
        detect: "echo Mine",
        compile:
          'cat "$2/count" 2>/dev/null || echo none; echo "$REQUEST_ID" > "$2/count"; test ! -f "$3/FAIL"',
      },
    });
    await bench.build();
    await expect(bench.build({ env: { FAIL: "1" } })).rejects.toMatchObject({
      code: "build-failed",
      message: expect.stringContaining("failed to compile Mine app (status 1)"),
    });
    await bench.build();
    expect(bench.text().match(/^(none|build-\d)$/gm)).toEqual(["none", "build-1", "build-1"]);
    await bench.builder.clearCache("app-1");
    await bench.build();
    expect(
      bench
        .text()
        .match(/^(none|build-\d)$/gm)
        ?.at(-1),
    ).toBe("none");
    expect(await bench.leftovers()).toEqual([]);
  });

  it("drops a cache above the limit", async () => {
    const bench = await benchWith(
      { mine: { detect: "echo Mine", compile: 'head -c 5000 /dev/zero > "$2/big"' } },
      { limits: { maxCacheBytes: 4000 } },
    );
    await bench.build();
    expect(bench.text()).toContain("The build cache was too large");
    expect(await readdir(join(bench.directory, "cache")).catch(() => [])).toEqual([]);
  });

  it("refuses an app that a named buildpack does not accept", async () => {
    const bench = await benchWith({ mine: { detect: "exit 1", compile: "true" } });
    await expect(bench.build()).rejects.toMatchObject({
      code: "build-failed",
      message: expect.stringContaining("App not compatible with buildpack: mine"),
    });
  });

  it("refuses what is no buildpack, bad release output and unknown names", async () => {
    const bench = await benchWith({
      mine: { detect: "echo x", compile: "true", release: "echo 'a: [b'" },
      empty: { other: "x" },
    });
    const named = (url: string) => bench.build({ buildpacks: [{ url }] });
    await expect(named("mine")).rejects.toMatchObject({ code: "build-failed", message: /YAML/ });
    await expect(named("empty")).rejects.toMatchObject({ message: /no bin\/detect/ });
    await expect(named("nope")).rejects.toMatchObject({ code: "bad-request", message: /nodejs/ });
    await expect(named("file:///etc")).rejects.toMatchObject({ code: "bad-request" });
  });

  it("says so when no default buildpack detects the app", async () => {
    const bench = await makeBench();
    const path = await makeTree({ "README.md": "hello" });
    await expect(
      bench.builder.build(bench.request({ source: { kind: "directory", path } })),
    ).rejects.toMatchObject({ code: "build-failed", message: /No default language/ });
  });

  it("removes what .slugignore lists before the buildpack runs", async () => {
    const bench = await benchWith({ mine: { detect: "echo x", compile: 'find "$1" -type f' } });
    const path = await makeTree({
      ...app,
      ".slugignore": "*.psd\n/spec\n# comment\n!keep.psd\n",
      "a.psd": "",
      "b/keep.psd": "",
      "spec/x": "",
      "lib/spec/y": "",
    });
    const slug = await bench.build({ source: { kind: "directory", path } });
    expect(await namesIn(slug.path)).toEqual([
      ".slugignore",
      "Procfile",
      "b/",
      "lib/",
      "lib/spec/",
      "lib/spec/y",
    ]);
    expect(bench.text()).not.toContain("psd\n");
    expect(bench.text()).toContain('"!keep.psd" has no effect');
  });

  it("bounds the output and says how much is missing", async () => {
    const bench = await benchWith(
      { mine: { detect: "echo x", compile: "yes | head -c 100000" } },
      { limits: { maxOutputBytes: 20_000 } },
    );
    await bench.build();
    expect(bench.text()).toMatch(/Output was too long: \d+ bytes were left out/);
    expect(bench.text().length).toBeLessThan(21_000);
  });
});

describe("a build that is stopped", () => {
  const stubborn = {
    detect: "echo Stubborn",
    compile: [
      'trap "" TERM',
      "setsid sleep 98761 &",
      "sleep 98761 &",
      "echo running",
      "wait; wait; sleep 98761",
    ].join("\n"),
  };

  async function started(bench: Awaited<ReturnType<typeof benchWith>>, signal?: AbortSignal) {
    let announce: () => void;
    const running = new Promise<void>((resolve) => {
      announce = resolve;
    });
    const build = bench.build({
      ...(signal === undefined ? {} : { signal }),
      output: (chunk) => {
        if (Buffer.from(chunk).includes("running")) announce();
      },
    });
    build.catch(() => undefined);
    await running;
    return { build };
  }

  it("is cancelled with everything it started, and leaves nothing", async () => {
    const bench = await benchWith(
      { mine: stubborn },
      { runner: processRunner({ killAfterMs: 50 }) },
    );
    const controller = new AbortController();
    const { build } = await started(bench, controller.signal);
    controller.abort();
    await expect(build).rejects.toMatchObject({ code: "cancelled" });
    expect(await processesWith("98761")).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
    expect(await readdir(join(bench.directory, "cache")).catch(() => [])).toEqual([]);
  });

  it("ends with timeout when it takes too long", async () => {
    let expire: () => void = () => undefined;
    const clock = {
      now: () => Date.now(),
      after: (_ms: number, callback: () => void) => {
        expire = callback;
        return () => undefined;
      },
    };
    const bench = await benchWith(
      { mine: stubborn },
      { clock, runner: processRunner({ killAfterMs: 50 }) },
    );
    const { build } = await started(bench);
    expire();
    await expect(build).rejects.toMatchObject({ code: "timeout", message: /900 seconds/ });
    expect(await processesWith("98761")).toEqual([]);
  });

  it("ends when the builder is closed", async () => {
    const bench = await benchWith(
      { mine: stubborn },
      { runner: processRunner({ killAfterMs: 50 }) },
    );
    const { build } = await started(bench);
    await bench.builder.close();
    await expect(build).rejects.toMatchObject({ code: "cancelled" });
    expect(await processesWith("98761")).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  it("does not wait for a process that a buildpack left in the background", async () => {
    const bench = await benchWith({
      mine: { detect: "echo x", compile: "setsid sleep 98762 & sleep 98762 & exit 0" },
    });
    await bench.build();
    expect(await processesWith("98762")).toEqual([]);
  });
});

describe("builds of one app", () => {
  it("run one after the other, those of several apps side by side", async () => {
    const running = new Set<string>();
    const together: string[][] = [];
    const release: (() => void)[] = [];
    const runner = {
      run: async (command: BuildCommand) => {
        if (command.step === "compile") {
          running.add(command.build.id);
          together.push([...running].sort());
          await new Promise<void>((resolve) => release.push(resolve));
          running.delete(command.build.id);
        }
        return { exitCode: 0, signal: null };
      },
    };
    const bench = await benchWith(
      { mine: { detect: "", compile: "" } },
      { runner, concurrency: 2 },
    );
    const first = bench.build({ id: "one" });
    const second = bench.build({ id: "two" });
    const other = bench.build({ id: "other", app: { id: "app-2", name: "other" } });
    let open = 3;
    const done = Promise.all([first, second, other].map((build) => build.then(() => (open -= 1))));
    while (open > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      if (release.length > 0 && (together.length !== 1 || running.size === 2)) release.shift()?.();
    }
    await done;
    expect(together.some((ids) => ids.includes("one") && ids.includes("two"))).toBe(false);
    expect(together.some((ids) => ids.length === 2)).toBe(true);
  });
});

describe("buildpacks and sources by URL", () => {
  async function serve(handler: Parameters<typeof createServer>[1]) {
    const server = createServer(handler).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  it("downloads a source and a buildpack and follows redirects", async () => {
    const source = gzipSync(rawTar([{ path: "top/Procfile", content: "web: x\n" }]));
    const buildpack = gzipSync(
      rawTar([
        { path: "pack/bin/detect", content: "#!/bin/sh\necho Fetched\n", mode: 0o644 },
        { path: "pack/bin/compile", content: "#!/bin/sh\necho compiled\n", mode: 0o755 },
      ]),
    );
    const base = await serve((request, response) => {
      if (request.url === "/moved") response.writeHead(302, { location: "/source" }).end();
      else if (request.url === "/source") response.end(source);
      else if (request.url?.startsWith("/pack.tgz")) response.end(buildpack);
      else response.writeHead(404).end();
    });
    const bench = await makeBench({ network: { allowPrivateNetworks: true } });
    const slug = await bench.builder.build(
      bench.request({
        source: { kind: "url", url: `${base}/moved` },
        buildpacks: [{ url: `${base}/pack.tgz?token=s3cret` }],
      }),
    );
    expect(await namesIn(slug.path)).toEqual(["Procfile"]);
    expect(slug.buildpackDescription).toBe("Fetched");
    expect(bench.text()).not.toContain("s3cret");
    await expect(
      bench.builder.build(bench.request({ source: { kind: "url", url: `${base}/none?t=s3cret` } })),
    ).rejects.toMatchObject({
      code: "download-failed",
      message: expect.not.stringContaining("s3cret"),
    });
  });

  it("refuses private addresses, also behind names and redirects", async () => {
    const base = await serve((_request, response) => response.end("internal"));
    const bench = await makeBench({
      network: {
        resolve: async (host) =>
          host === "internal.example"
            ? [{ address: "10.0.0.5", family: 4 }]
            : [{ address: "93.184.215.14", family: 4 }],
        fetch: async () => ({
          status: 302,
          headers: { get: (name) => (name === "location" ? `${base}/secret` : null) },
          body: null,
        }),
      },
    });
    const fetchOf = (url: string) =>
      bench.builder.build(bench.request({ source: { kind: "url", url } }));
    for (const url of [
      base,
      "http://localhost:1/",
      "http://2130706433/",
      "http://[::1]/",
      "http://[::ffff:127.0.0.1]/",
      "http://169.254.169.254/latest/meta-data",
      "http://internal.example/x",
      "http://public.example/redirects",
    ])
      await expect(fetchOf(url), url).rejects.toMatchObject({
        code: url.includes("localhost") ? expect.stringMatching("unsafe-url") : "unsafe-url",
      });
    await expect(
      bench.builder.build(
        bench.request({
          source: { kind: "directory", path: await makeTree(app) },
          buildpacks: [{ url: "https://internal.example/pack.git" }],
        }),
      ),
    ).rejects.toMatchObject({ code: "unsafe-url" });
  });

  it("clones a git buildpack over HTTP at a ref", async () => {
    const repository = await makeTree({
      "bin/detect": { run: "#!/bin/sh\necho Cloned\n" },
      "bin/compile": { run: "#!/bin/sh\necho version one\n" },
    });
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], {
        cwd: repository,
      })
        .toString()
        .trim();
    git("init", "-q", "-b", "main");
    git("add", ".");
    git("commit", "-qm", "one");
    git("tag", "v1");
    const first = git("rev-parse", "HEAD");
    git("rm", "-q", "bin/compile");
    git("commit", "-qm", "two");
    const bare = join(await temporaryDirectory(), "pack.git");
    execFileSync("git", ["clone", "-q", "--bare", repository, bare]);
    execFileSync("git", ["update-server-info"], { cwd: bare });
    const base = await serve((request, response) => {
      const path = (request.url ?? "").split("?")[0]!.replace("/pack.git", bare);
      readFile(path).then(
        (bytes) => response.end(bytes),
        () => response.writeHead(404).end(),
      );
    });
    const bench = await makeBench({ network: { allowPrivateNetworks: true } });
    const build = async (ref: string) =>
      await bench.builder.build(
        bench.request({
          source: { kind: "directory", path: await makeTree(app) },
          buildpacks: [{ url: `${base}/pack.git#${ref}` }],
        }),
      );
    // Static HTTP repositories know no shallow clones, so this takes the second way.
    await build(first);
    expect(bench.text()).toContain("version one");
    await expect(build("no-such-ref")).rejects.toMatchObject({ code: "download-failed" });
    await expect(build("--upload-pack=x")).rejects.toMatchObject({ code: "download-failed" });
  });
});
