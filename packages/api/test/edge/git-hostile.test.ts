import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { type ClientRequest, request } from "node:http";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import { gitBench, TOKEN, workingCopy } from "./git-bench.ts";
import { temporaryDirectory } from "./support.ts";

/** The interpreter itself: a version manager in its place would need more than the path. */
function findPython(): string | undefined {
  try {
    return execFileSync("python3", ["-c", "import sys; print(sys.executable)"]).toString().trim();
  } catch {
    return undefined;
  }
}

const python = findPython();

const zero = "0".repeat(40);

/** A line of git's protocol. */
const line = (text: string) => `${(text.length + 4).toString(16).padStart(4, "0")}${text}`;

/** The commands of a push, as one request body. */
function commands(refs: readonly string[], to: string, pack: Buffer): Buffer {
  const [first = "", ...rest] = refs;
  const lines = [
    line(`${zero} ${to} ${first}\0report-status side-band-64k`),
    ...rest.map((ref) => line(`${zero} ${to} ${ref}`)),
  ];
  return Buffer.concat([Buffer.from(`${lines.join("")}0000`), pack]);
}

async function receive(port: number, body: Buffer): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://localhost:${port}/demo.git/git-receive-pack`, {
    method: "POST",
    headers: {
      authorization: `Basic ${Buffer.from(`x:${TOKEN}`).toString("base64")}`,
      "content-type": "application/x-git-receive-pack-request",
    },
    body: new Uint8Array(body),
  });
  return { status: response.status, text: await response.text() };
}

const emptyPack = Buffer.from(
  "5041434b0000000200000000029d08823bd8a8eab510ad6ac75c823cfd3ed31e",
  "hex",
);

describe("hostile pushes", () => {
  it("of garbage in place of a pack are refused, and the next push works", async () => {
    const { port, pushes, repository, url } = await gitBench();
    const to = "1".repeat(40);
    const liar = Buffer.from("PACK\0\0\0\x02\xff\xff\xff\xff", "latin1");
    for (const pack of [
      Buffer.from("not a pack at all"),
      liar,
      Buffer.alloc(100_000, 7),
      emptyPack,
    ])
      expect(await receive(port, commands(["refs/heads/main"], to, pack))).toMatchObject({
        status: 200,
        text: expect.stringMatching(/unpack (?!ok)|ng refs\/heads\/main|fatal/),
      });
    expect(pushes).toEqual([]);
    const work = await workingCopy();
    expect((await work.git(["push", url(), "main"])).code).toBe(0);
    expect(
      (await readdir(join(repository, "objects"))).filter((name) => /tmp|inc/.test(name)),
    ).toEqual([]);
  });

  it("to names that leave the place of refs are refused", async () => {
    const { port, pushes, url, repository } = await gitBench();
    const work = await workingCopy();
    await work.git(["push", url(), "main"]);
    const before = await readdir(repository);
    for (const ref of [
      "refs/heads/../../hooks/x",
      "../../../x",
      "HEAD.lock",
      "config",
      "refs/heads/a..b",
      "refs/heads/.x",
      "refs/heads/x.lock",
    ])
      expect((await receive(port, commands([ref], work.first, emptyPack))).text, ref).toMatch(
        /ng |funny|fatal|refname/,
      );
    expect(pushes).toHaveLength(1);
    expect(await readdir(repository)).toEqual(before);
  });

  it("of a huge list of refs are refused with a reason", async () => {
    const { port, pushes, url } = await gitBench();
    const work = await workingCopy();
    await work.git(["push", url(), "main"]);
    const refs = Array.from({ length: 20_000 }, (_, index) => `refs/heads/b${index}`);
    const { text } = await receive(port, commands(refs, work.first, emptyPack));
    expect(text).toContain("pre-receive hook declined");
    expect(text).toContain("At most 10000 refs can be pushed at once.");
    expect(pushes).toHaveLength(1);
    expect((await work.git(["ls-remote", url()])).out.split("\n").filter(Boolean)).toHaveLength(2);
  });

  it.each([
    ["..", /hasDotdot/],
    [".git", /hasDotgit/],
    [".GIT", /hasDotgit/],
    ["a/b", /fullPathname/],
  ])("of a tree with an entry named %s are refused by name", async (name, reason) => {
    const { pushes, url } = await gitBench();
    const work = await workingCopy();
    const blob = (await work.git(["rev-parse", "HEAD:Procfile"])).out.trim();
    const tree = Buffer.concat([Buffer.from(`100644 ${name}\0`), Buffer.from(blob, "hex")]);
    const made = await work.make("tree", tree);
    const commit = (await work.git(["commit-tree", "-m", "x", made])).out.trim();
    const { code, out } = await work.git(["push", url(), `${commit}:refs/heads/main`]);
    expect(code).not.toBe(0);
    expect(out).toMatch(reason);
    expect(pushes).toEqual([]);
  });

  it("that break off leave nothing, and nothing is taken from those that go on", async () => {
    const { port, pushes, repository, url } = await gitBench();
    const work = await workingCopy();
    await work.git(["push", url(), "main"]);
    const quarantines = async () =>
      (await readdir(join(repository, "objects"))).filter((name) => /incoming/.test(name)).length;
    const [first, second] = [beginPush(port), beginPush(port)];
    await expect.poll(quarantines, { timeout: 20_000 }).toBe(2);
    first.destroy();
    await once(first, "close");
    await work.commit({ more: "1" });
    expect((await work.git(["push", url(), "main"])).code).toBe(0);
    expect(await quarantines()).toBeGreaterThan(0);
    second.destroy();
    await expect.poll(quarantines, { timeout: 20_000 }).toBe(0);
    await work.commit({ more: "2" });
    expect((await work.git(["push", url(), "main"])).code).toBe(0);
    expect(pushes).toHaveLength(3);
  });

  it("that a killed platform was receiving are cleared away at its next start", async () => {
    const first = await gitBench();
    const work = await workingCopy();
    await work.git(["push", first.url(), "main"]);
    await first.edge.close({ drainMs: 100 });
    const left = join(first.repository, "objects", "tmp_objdir-incoming-AbCdEf", "pack");
    await mkdir(left, { recursive: true });
    await writeFile(join(left, "tmp_pack_AbCdEf"), "PACK");
    await gitBench({ directory: first.directory });
    await expect.poll(() => existsSync(left), { timeout: 20_000 }).toBe(false);
    expect((await work.git(["push", first.url(), "main"])).code).not.toBe(0);
  });

  it("are built whole, whatever their attributes would leave out of an archive", async () => {
    const { repository, url } = await gitBench();
    const work = await workingCopy({
      Procfile: "web: x\n",
      ".gitattributes": "kept.txt export-ignore\nas-is.txt export-subst\n",
      "kept.txt": "kept\n",
      "as-is.txt": "$Format:%H$\n",
    });
    expect((await work.git(["push", url(), "main"])).code).toBe(0);
    const archive = execFileSync("git", ["archive", "--format=tar", work.first], {
      cwd: repository,
      env: { ...process.env, GIT_CONFIG_COUNT: "1", ...safe },
    });
    const names = execFileSync("tar", ["-t"], { input: archive }).toString();
    expect(names).toContain("kept.txt");
    expect(archive.includes("$Format:%H$")).toBe(true);
  });

  describe.skipIf(python === undefined)(
    python === undefined ? "of bombs (skipped: python3 is not there to measure)" : "of bombs",
    () => {
      it("are refused at the bound of memory, and big files take little of it", async () => {
        const mebi = 1024 ** 2;
        const { port, pushes, url, repository } = await gitBench({ maxMemoryBytes: 512 * mebi });
        const work = await workingCopy();
        const measured = await measureGit();
        const { text } = await receive(
          port,
          commands(["refs/heads/main"], "1".repeat(40), deltaBomb(1536 * mebi)),
        );
        expect(text).toContain("Out of memory");
        expect(pushes).toEqual([]);
        expect(await measured.peak()).toBeLessThan(512 * mebi);
        expect(
          (await readdir(join(repository, "objects"))).filter((name) => /tmp/.test(name)),
        ).toEqual([]);
        await work.commit({ zeros: Buffer.alloc(100 * mebi) });
        measured.reset();
        expect((await work.git(["push", url(), "main"])).code).toBe(0);
        expect(pushes).toHaveLength(1);
        expect(await measured.peak()).toBeLessThan(96 * mebi);
      });
    },
  );
});

const safe = { GIT_CONFIG_KEY_0: "safe.directory", GIT_CONFIG_VALUE_0: "*" };

/** A push whose pack never comes whole. */
function beginPush(port: number): ClientRequest {
  const outgoing = request({
    port,
    method: "POST",
    path: "/demo.git/git-receive-pack",
    headers: {
      authorization: `Basic ${Buffer.from(`x:${TOKEN}`).toString("base64")}`,
      "content-type": "application/x-git-receive-pack-request",
      "content-length": 1_000_000,
    },
  });
  outgoing.on("error", () => {});
  const pack = Buffer.from("PACK\0\0\0\x02\0\0\0\x09", "latin1");
  outgoing.write(commands(["refs/heads/main"], "1".repeat(40), pack));
  return outgoing;
}

/** A pack of some kilobytes with an object that is copied together from another to any size. */
function deltaBomb(size: number): Buffer {
  const base = Buffer.alloc(8 * 1024 ** 2);
  const head = (type: number, length: number) => {
    const bytes = [(type << 4) | (length & 15)];
    for (let rest = Math.floor(length / 16); rest > 0; rest = Math.floor(rest / 128)) {
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 0x80;
      bytes.push(rest % 128);
    }
    return Buffer.from(bytes);
  };
  const varint = (value: number) => {
    const bytes: number[] = [];
    for (let rest = value; ; rest = Math.floor(rest / 128)) {
      bytes.push((rest % 128) | (rest >= 128 ? 0x80 : 0));
      if (rest < 128) return Buffer.from(bytes);
    }
  };
  const copies = Math.ceil(size / base.length);
  // Copies all of the base: three bytes of size, no offset.
  const copy = Buffer.from([0x80 | 0x40, 0x80]);
  const delta = Buffer.concat([
    varint(base.length),
    varint(copies * base.length),
    ...Array.from({ length: copies }, () => copy),
  ]);
  const name = createHash("sha1").update(`blob ${base.length}\0`).update(base).digest();
  const pack = Buffer.concat([
    Buffer.from("PACK\0\0\0\x02\0\0\0\x02", "latin1"),
    head(3, base.length),
    deflateSync(base),
    head(7, delta.length),
    name,
    deflateSync(delta),
  ]);
  return Buffer.concat([pack, createHash("sha1").update(pack).digest()]);
}

/** Puts a program before git that notes the peak of memory of all that git started. */
async function measureGit() {
  const directory = await temporaryDirectory();
  const report = join(directory, "report");
  const real = execFileSync("sh", ["-c", "command -v git"]).toString().trim();
  await writeFile(
    join(directory, "git"),
    `#!${python}
import resource, subprocess, sys
code = subprocess.run([${JSON.stringify(real)}] + sys.argv[1:]).returncode
with open(${JSON.stringify(report)}, "a") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) + "\\n")
sys.exit(code)
`,
    { mode: 0o755 },
  );
  const path = process.env["PATH"];
  process.env["PATH"] = `${directory}:${path}`;
  onTestFinished(() => {
    process.env["PATH"] = path;
  });
  return {
    reset: () => rmSync(report, { force: true }),
    /** Bytes. */
    peak: async () => {
      const lines = readFileSync(report, "utf8").trim().split("\n");
      return Math.max(...lines.map(Number)) * 1024;
    },
  };
}
