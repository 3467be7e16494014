import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, PlatformProcess, send } from "./support/platform.ts";

// DYNOKIT_SOAK=1 kills more often.
const kills = process.env["DYNOKIT_SOAK"] === "1" ? 40 : 3;

const home = mkdtempSync(join(tmpdir(), "dynokit-crash-"));
const data = join(home, "data");
let platform: PlatformProcess;

const start = async () => {
  platform = await new PlatformProcess(data, ["--no-sample"]).ready();
};

beforeAll(start, 120_000);
afterAll(async () => {
  await platform.stop();
  rmSync(home, { recursive: true, force: true });
});

/** Seconds that nobody else sleeps, so that its process is known among all others. */
const marker = String(900_000 + randomInt(90_000));

/** Processes of this machine whose command holds a word of its own. */
function processesWith(word: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(word);
    } catch {
      return false;
    }
  });
}

async function sourceOf(text: string, build: string): Promise<string> {
  const directory = mkdtempSync(join(home, "source-"));
  writeFileSync(join(directory, "Procfile"), "web: node web.js\n");
  writeFileSync(
    join(directory, "package.json"),
    JSON.stringify({ name: "crash", version: "1.0.0", scripts: { build } }),
  );
  writeFileSync(
    join(directory, "web.js"),
    `require("node:http").createServer((q, r) => r.end(["${text}", process.env.DYNO, process.env.WORD].join(" "))).listen(process.env.PORT);\n`,
  );
  const archive = execFileSync("tar", ["-cz", "-C", directory, "."]);
  const { source_blob: blob } = (await platform.api("POST", "/sources")).json;
  await send(new URL(blob.put_url), { method: "PUT", headers: {}, body: archive });
  return blob.get_url;
}

const build = async (text: string, script = "true") =>
  (
    await platform.api("POST", "/apps/phoenix/builds", {
      source_blob: { url: await sourceOf(text, script) },
    })
  ).json.id as string;

const ended = async (id: string) =>
  (
    await eventually(
      () => platform.api("GET", `/apps/phoenix/builds/${id}`),
      ({ json }) => json.status !== "pending",
    )
  ).json;

interface Release {
  readonly version: number;
  readonly status: string;
  readonly current: boolean;
}

async function releases(): Promise<Release[]> {
  const { json } = await platform.api("GET", "/apps/phoenix/releases");
  return json.map(({ version, status, current }: Release) => ({ version, status, current }));
}

const visit = () => platform.visit(`phoenix.localhost:${platform.routerPort}`);

/** One decided release is current, and both web dynos run that and nothing else. */
async function assertWhole(): Promise<number> {
  const all = await releases();
  expect(all.map(({ version }) => version)).toEqual(all.map((_, index) => index + 1));
  const current = all.filter((one) => one.current);
  expect(current).toEqual([{ version: expect.any(Number), status: "succeeded", current: true }]);
  const version = current[0]?.version ?? 0;
  const { json: config } = await platform.api(
    "GET",
    `/apps/phoenix/releases/${version}/config-vars`,
  );
  await eventually(
    () => platform.api("GET", "/apps/phoenix/dynos"),
    ({ json }) =>
      json.length === 2 &&
      json.every(
        (dyno: { state: string; release: Release }) =>
          dyno.state === "up" && dyno.release.version === version,
      ),
  );
  const seen = new Set<string>();
  await eventually(visit, ({ status, text }) => {
    if (status === 200) seen.add(text.replace(/web\.\d/, "web"));
    return status === 200 && text.endsWith(` ${config["WORD"] ?? ""}`);
  });
  expect([...seen]).toHaveLength(1);
  return version;
}

test("a platform that is killed while it builds keeps the old release and leaves no process", async () => {
  expect((await platform.api("POST", "/apps", { name: "phoenix" })).status).toBe(201);
  expect((await ended(await build("one"))).status).toBe("succeeded");
  await platform.api("PATCH", "/apps/phoenix/formation", {
    updates: [{ type: "web", quantity: 2 }],
  });
  const before = await releases();
  const id = await build("two", `sleep ${marker}`);
  await eventually(
    async () => processesWith(marker),
    (pids) => pids.length > 0,
  );
  await platform.stop("SIGKILL");
  await start();
  expect((await platform.api("GET", `/apps/phoenix/builds/${id}`)).json).toMatchObject({
    status: "failed",
    release: null,
    slug: null,
  });
  expect(await releases()).toEqual(before);
  await eventually(
    async () => processesWith(marker),
    (pids) => pids.length === 0,
  );
  await assertWhole();
  expect((await visit()).text).toMatch(/^one /);
  expect((await ended(await build("three"))).status).toBe("succeeded");
  await assertWhole();
  expect((await visit()).text).toMatch(/^three /);
  expect(readdirSync(join(data, "build", "work"))).toEqual([]);
}, 180_000);

test(`a platform that is killed ${kills} times while releases roll out comes to one of them`, async () => {
  let word = 0;
  for (let kill = 0; kill < kills; kill++) {
    const before = (await releases()).length;
    const writing = Promise.allSettled([
      platform.api("PATCH", "/apps/phoenix/config-vars", { WORD: String(++word) }),
      platform.api("PATCH", "/apps/phoenix/config-vars", { OTHER: String(word) }),
    ]);
    await new Promise((resolve) => setTimeout(resolve, randomInt(600)));
    await platform.stop("SIGKILL");
    const answered = (await writing).filter(
      (one) => one.status === "fulfilled" && one.value.status === 200,
    ).length;
    await start();
    const version = await assertWhole();
    // What was answered is kept; what was not may be.
    expect(version).toBeGreaterThanOrEqual(before + answered);
    expect(version).toBeLessThanOrEqual(before + 2);
  }
}, 300_000);
