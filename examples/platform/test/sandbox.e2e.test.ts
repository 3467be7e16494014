import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missing, titled } from "../../../packages/driver-sandbox/test/support/requirement.ts";
import { eventually, PlatformProcess, send } from "../../../test/support/platform.ts";

describe.skipIf(missing !== undefined)(titled("the platform on sandboxes"), () => {
  const home = mkdtempSync(join(tmpdir(), "dynokit-e2e-"));
  const data = join(home, "data");
  const own = createHash("sha256").update(data).digest("hex").slice(0, 12);
  const state = process.getuid?.() === 0 ? `/var/lib/dynokit/platform-${own}` : data;
  const secret = randomBytes(12).toString("hex");
  let platform: PlatformProcess;

  beforeAll(async () => {
    process.env["PLATFORM_CANARY"] = secret;
    platform = new PlatformProcess(data, ["--driver", "sandbox", "--egress", "none"]);
    delete process.env["PLATFORM_CANARY"];
    await platform.ready();
  }, 120_000);

  afterAll(async () => {
    await platform.stop();
    rmSync(home, { recursive: true, force: true });
    if (state !== data) rmSync(state, { recursive: true, force: true });
  });

  /** Looks for what belongs to others, and says of each thing whether it was found. */
  const spy = () => `
      const fs = require("node:fs"), net = require("node:net");
      const found = {};
      const see = (name, look) => { try { look(); found[name] = true } catch { found[name] = false } };
      see("shadow", () => fs.readFileSync("/etc/shadow"));
      // A build has the way to its own directory, and nothing beside it.
      see("data", () => {
        if (!fs.readdirSync(${JSON.stringify(data)}).some((name) => name !== "build")) throw 0;
      });
      see("token", () => fs.readFileSync(${JSON.stringify(join(data, "token"))}));
      see("slugs", () => fs.readdirSync(${JSON.stringify(join(data, "build", "slugs"))}));
      see("code of others", () => fs.readdirSync(${JSON.stringify(join(state, "dynos"))}));
      see("homes", () => fs.readdirSync("/root"));
      see("write to the system", () => fs.writeFileSync("/usr/spy", "x"));
      try { fs.writeFileSync(${JSON.stringify(join(data, "spy"))}, "x") } catch {}
      see("environments", () => {
        let all = JSON.stringify(process.env);
        for (const pid of fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name))) {
          try { all += fs.readFileSync("/proc/" + pid + "/environ") + fs.readFileSync("/proc/" + pid + "/cmdline") } catch {}
        }
        if (!all.includes(${JSON.stringify(secret.slice(0, 10))} + ${JSON.stringify(secret.slice(10))})) throw 0;
      });
      const ports = ${JSON.stringify([Number(new URL(platform.apiUrl).port), platform.routerPort])};
      const dial = (host, port) => new Promise((done) => {
        const socket = net.connect(port, host, () => done(true)).on("error", () => done(false));
        socket.setTimeout(2000, () => done(false));
      });
      module.exports = async () => {
        found.platform = (await Promise.all(ports.map((port) => dial("127.0.0.1", port)))).includes(true);
        found.metadata = await dial("169.254.169.254", 80);
        return JSON.stringify(found);
      };
    `;
  const nothing = Object.fromEntries(
    [
      ...["shadow", "data", "token", "slugs", "code of others", "homes", "write to the system"],
      ...["environments", "platform", "metadata"],
    ].map((name) => [name, false]),
  );

  test("neither a build nor a dyno finds anything of the host, the platform or others", async () => {
    const set = await platform.api("PATCH", "/apps/sample/config-vars", { WORD: secret });
    expect(set.status).toBe(200);
    const source = mkdtempSync(join(home, "source-"));
    const files = {
      "package.json": JSON.stringify({ name: "spy", scripts: { build: "node build.js" } }),
      "spy.js": spy(),
      "build.js": 'require("./spy.js")().then((text) => console.log("build saw " + text))',
      "web.js":
        'require("node:http").createServer(async (_, r) => r.end(await require("./spy.js")())).listen(process.env.PORT)',
      Procfile: "web: node web.js\n",
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(source, name), text);
    const archive = execFileSync("tar", ["-cz", "-C", source, "."]);

    expect((await platform.api("POST", "/apps", { name: "spy" })).status).toBe(201);
    const blob = (await platform.api("POST", "/sources")).json.source_blob;
    await send(new URL(blob.put_url), { method: "PUT", headers: {}, body: archive });
    const build = await platform.api("POST", "/apps/spy/builds", {
      source_blob: { url: blob.get_url },
    });
    const done = await eventually(
      () => platform.api("GET", `/apps/spy/builds/${build.json.id}`),
      ({ json }) => json.status !== "pending",
    );
    const output = await send(new URL(done.json.output_stream_url), {
      method: "GET",
      headers: {},
      body: undefined,
    });
    expect(done.json.status, output.text).toBe("succeeded");
    const seen = /build saw (\{.*\})/.exec(output.text)?.[1];
    expect(JSON.parse(seen ?? output.text)).toEqual(nothing);

    const answer = await eventually(
      () => platform.visit(`spy.localhost:${platform.routerPort}`),
      ({ status }) => status === 200,
    );
    expect(answer.json).toEqual(nothing);
    expect(existsSync(join(data, "spy"))).toBe(false);
  });
});

describe("what is missing is said in one line", () => {
  test.each([
    [["--driver", "lxc"], /^--driver is "lxc": give one of process, sandbox, docker\.$/],
    [
      ["--driver", "docker", "--egress", "host"],
      /^--egress host is for --driver sandbox; containers have none or open\.$/,
    ],
    [
      ["--driver", "docker", "--image", "x", "--docker-socket", "/nowhere"],
      /^--driver docker: no Docker Engine answers at \/nowhere; .*$/,
    ],
    [["--egress", "some"], /^--egress is "some": give one of none, open, host\.$/],
  ])("%j", async (options, line) => {
    const home = mkdtempSync(join(tmpdir(), "dynokit-e2e-"));
    const platform = new PlatformProcess(join(home, "data"), options);
    await expect(platform.ready()).rejects.toThrow("the platform ended");
    expect(platform.output.trim()).toMatch(line);
    rmSync(home, { recursive: true, force: true });
  });
});
