import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Builder, BuilderError, type BuildRequest } from "../src/index.ts";
import { makeBench, makeTree, namesIn, tarball, temporaryDirectory } from "./support/fixtures.ts";

describe("Builder.build", () => {
  it("makes a slug of a directory without changing it", async () => {
    const bench = await makeBench();
    const path = await makeTree({ Procfile: "web: ./run\nWORKER: ./work\n", ".git/HEAD": "x" });
    const slug = await bench.builder.build(bench.request({ source: { kind: "directory", path } }));
    expect({ ...slug.processTypes }).toEqual({ web: "./run", worker: "./work" });
    expect(slug.stack).toBe("heroku-24");
    expect(slug.path).toBe(join(bench.directory, "slugs", `${slug.id}.tgz`));
    const bytes = await readFile(slug.path);
    expect(slug.size).toBe(bytes.length);
    expect(slug.checksum).toBe(`SHA256:${createHash("sha256").update(bytes).digest("hex")}`);
    expect((await stat(slug.path)).mode & 0o777).toBe(0o444);
    expect(await namesIn(slug.path)).toEqual(["Procfile"]);
    expect(await readdir(path)).toEqual([".git", "Procfile"].sort());
    expect(bench.text()).toContain("-----> Discovering process types\n");
    expect(bench.text()).toContain("       Procfile declares types     -> web, worker\n");
    expect(bench.text()).toContain(" !     Procfile:2:1: warning:");
    expect(await bench.leftovers()).toEqual([]);
  });

  it("gives equal content one id, whatever the source", async () => {
    const bench = await makeBench();
    const path = await makeTree({ Procfile: "web: x\n" });
    const one = await bench.builder.build(bench.request({ source: { kind: "directory", path } }));
    const two = await bench.builder.build(
      bench.request({
        source: {
          kind: "tarball",
          path: await tarball([{ path: "repo-1.2/Procfile", content: "web: x\n" }]),
        },
      }),
    );
    expect(two.id).toBe(one.id);
    expect(await readdir(join(bench.directory, "slugs"))).toEqual([`${one.id}.tgz`]);
  });

  it("refuses a link that leaves the app once the top directory is stripped", async () => {
    const bench = await makeBench();
    const path = await tarball([
      { path: "repo/Procfile", content: "web: x\n" },
      { path: "repo/l", type: "SymbolicLink", linkpath: "../repo/Procfile" },
    ]);
    await expect(
      bench.builder.build(bench.request({ source: { kind: "tarball", path } })),
    ).rejects.toMatchObject({ code: "unsafe-archive" });
    expect(await bench.leftovers()).toEqual([]);
  });

  it("builds a commit of a bare repository and reports it", async () => {
    const bench = await makeBench();
    const work = await makeTree({ Procfile: "web: committed\n" });
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd: work })
        .toString()
        .trim();
    git("init", "-q");
    git("add", ".");
    git("commit", "-qm", "one");
    const commit = git("rev-parse", "HEAD");
    await writeFile(join(work, "Procfile"), "web: not committed\n");
    const source = { kind: "git", repository: join(work, ".git"), commit } as const;
    const slug = await bench.builder.build(bench.request({ source }));
    expect(slug.commit).toBe(commit);
    expect({ ...slug.processTypes }).toEqual({ web: "committed" });
    await expect(
      bench.builder.build(bench.request({ source: { ...source, commit: "0".repeat(40) } })),
    ).rejects.toMatchObject({ code: "bad-archive" });
    await expect(
      bench.builder.build(bench.request({ source: { ...source, commit: "--output=/tmp/x" } })),
    ).rejects.toMatchObject({ code: "bad-request" });
  });

  it("takes links inside a commit, refuses those out of it, and names empty submodules", async () => {
    const bench = await makeBench();
    const work = await makeTree({
      Procfile: "web: x\n",
      "lib/real.txt": "real\n",
      "linked.txt": { link: "lib/real.txt" },
      ".gitmodules":
        '[submodule "dep"]\n\tpath = vendor/dep\n\turl = https://git.example.com/dep.git\n[submodule "up"]\n\tpath = ../up\n',
    });
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd: work })
        .toString()
        .trim();
    git("init", "-q");
    git("add", ".");
    git("update-index", "--add", "--cacheinfo", `160000,${"1".repeat(40)},vendor/dep`);
    git("commit", "-qm", "one");
    const repository = join(work, ".git");
    const source = { kind: "git", repository, commit: git("rev-parse", "HEAD") } as const;
    let said = "";
    const output = (chunk: Uint8Array) => {
      said += Buffer.from(chunk).toString("utf8");
    };
    const slug = await bench.builder.build({ ...bench.request({ source }), output });
    expect(said).toContain("Submodules are not fetched, so these stay empty: vendor/dep.");
    expect(said).not.toContain("../up");
    const listed = execFileSync("tar", ["-tvzf", slug.path]).toString();
    expect(listed).toMatch(/linked\.txt -> lib\/real\.txt/);
    expect(listed).toMatch(/vendor\/dep\//);
    await symlink("../../../etc/passwd", join(work, "out"));
    git("add", ".");
    git("commit", "-qm", "two");
    const out = { ...source, commit: git("rev-parse", "HEAD") };
    await expect(bench.builder.build(bench.request({ source: out }))).rejects.toMatchObject({
      code: "unsafe-archive",
      message: expect.stringContaining('"out"'),
    });
  });

  it("lists every error of the Procfile with its place and repair", async () => {
    const bench = await makeBench();
    const path = await makeTree({ Procfile: "web node\nok: fine\nwork.er: x\nempty:\n" });
    const error = await bench.builder
      .build(bench.request({ source: { kind: "directory", path } }))
      .catch((caught: unknown) => caught);
    expect(BuilderError.is(error) && error.code).toBe("bad-procfile");
    const { message } = error as BuilderError;
    expect(message).toMatch(/Procfile:1:\d+: error: .*\(fix: insert ":" at 1:4\)/);
    expect(message).toMatch(/Procfile:3:5: error: .*\(fix: write "-" at 3:5\)/);
    expect(message).toMatch(/Procfile:4:\d+: error/);
    expect(await readdir(join(bench.directory, "slugs")).catch(() => [])).toEqual([]);
  });

  it("refuses a Procfile that is a link, a directory or not text", async () => {
    const bench = await makeBench();
    const trees = [{ Procfile: { link: "other" }, other: "web: x\n" }, { "Procfile/inside": "x" }];
    for (const tree of trees)
      await expect(
        bench.builder.build(
          bench.request({ source: { kind: "directory", path: await makeTree(tree) } }),
        ),
      ).rejects.toMatchObject({ code: "bad-procfile" });
    const path = await temporaryDirectory();
    await writeFile(join(path, "Procfile"), Buffer.from([0x77, 0xff, 0xfe]));
    await expect(
      bench.builder.build(bench.request({ source: { kind: "directory", path } })),
    ).rejects.toMatchObject({ code: "bad-procfile", message: expect.stringMatching("UTF-8") });
  });

  it("tells about a Procfile of another name", async () => {
    const bench = await makeBench();
    const path = await makeTree({
      "procfile.txt": "web: x\n",
      "package.json": "{}",
      "server.js": "",
    });
    const slug = await bench.builder.build(bench.request({ source: { kind: "directory", path } }));
    expect({ ...slug.processTypes }).toEqual({ web: "npm start" });
    expect(bench.text()).toContain('"procfile.txt" is not read');
  });

  it("checks the archive's checksum before it is opened", async () => {
    const bench = await makeBench();
    const path = await tarball([{ path: "Procfile", content: "web: x\n" }]);
    const digest = createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
    const source = { kind: "tarball", path } as const;
    await bench.builder.build(bench.request({ source, checksum: `SHA256:${digest}` }));
    for (const checksum of [`SHA256:${"0".repeat(64)}`, "md5:abc"])
      await expect(bench.builder.build(bench.request({ source, checksum }))).rejects.toMatchObject({
        code: "checksum-mismatch",
      });
  });

  it("refuses sources above the limits", async () => {
    const path = await tarball([{ path: "Procfile", content: "web: x\n" }]);
    const small = await makeBench({ limits: { maxSourceBytes: 10 } });
    await expect(
      small.builder.build(small.request({ source: { kind: "tarball", path } })),
    ).rejects.toMatchObject({ code: "too-large", details: { name: "maxSourceBytes" } });
    const slug = await makeBench({ limits: { maxSlugBytes: 10 } });
    await expect(
      slug.builder.build(slug.request({ source: { kind: "tarball", path } })),
    ).rejects.toMatchObject({ code: "too-large", details: { name: "maxSlugBytes" } });
    const files = await makeBench({ limits: { maxFiles: 2 } });
    const tree = await makeTree({ a: "", b: "", c: "" });
    await expect(
      files.builder.build(files.request({ source: { kind: "directory", path: tree } })),
    ).rejects.toMatchObject({ code: "too-large", details: { name: "maxFiles" } });
    expect(await slug.leftovers()).toEqual([]);
  });

  it("names what is wrong in a request, without the values", async () => {
    const bench = await makeBench();
    const error = await bench.builder
      .build({
        ...bench.request({ source: { kind: "directory", path: "relative" } }),
        env: { "BAD-KEY": "s3cret" },
        app: { id: "../../x", name: "x" },
      } as BuildRequest)
      .catch((caught: unknown) => caught as BuilderError);
    expect(error).toMatchObject({ code: "bad-request" });
    expect((error as BuilderError).message).toContain("source.path: must be an absolute path");
    expect((error as BuilderError).message).toContain("app.id");
    expect((error as BuilderError).message).not.toContain("s3cret");
  });

  it("removes what dead processes left and nothing of living ones", async () => {
    const directory = await temporaryDirectory();
    await mkdir(join(directory, "work", "4194304-77-dead", "app"), { recursive: true });
    await mkdir(join(directory, "work", `${process.pid}-1-reused`), { recursive: true });
    const parent = execFileSync("sh", ["-c", `cut -d' ' -f22 /proc/${process.ppid}/stat`]);
    const living = `${process.ppid}-${parent.toString().trim()}-live`;
    await mkdir(join(directory, "work", living), { recursive: true });
    const bench = await makeBench({ directory });
    await bench.builder.build(
      bench.request({
        source: { kind: "directory", path: await makeTree({ Procfile: "web: x\n", a: "a" }) },
      }),
    );
    expect(await readdir(join(directory, "work"))).toEqual([living]);
  });
});

describe("the queue of builds", () => {
  it("refuses builds beyond its bound and lets waiting ones be cancelled at once", async () => {
    const bench = await makeBench({ limits: { maxQueued: 1 } });
    const path = await makeTree({ Procfile: "web: x\n", a: "a" });
    const source = { kind: "directory", path } as const;
    const controller = new AbortController();
    const running = bench.builder.build(bench.request({ source }));
    const waiting = bench.builder.build(bench.request({ source, signal: controller.signal }));
    const refused = bench.builder.build(bench.request({ source }));
    controller.abort();
    const outcomes = await Promise.allSettled([waiting, refused, running]);
    expect(outcomes.map((o) => (o.status === "rejected" ? o.reason.code : "done"))).toContain(
      "cancelled",
    );
    expect(outcomes[2].status).toBe("fulfilled");
    expect(bench.builder.queued).toBe(0);
  });

  it("refuses work after close, which may be called twice", async () => {
    const bench = await makeBench();
    await bench.builder.close();
    await bench.builder.close();
    await expect(
      bench.builder.build(bench.request({ source: { kind: "directory", path: "/tmp" } })),
    ).rejects.toMatchObject({ code: "closed" });
  });
});

describe("slugs", () => {
  it("imports prebuilt code, also below ./app, and checks the archive", async () => {
    const bench = await makeBench();
    const path = await tarball([
      { path: "./app/", type: "Directory" },
      { path: "./app/server", content: "x", mode: 0o755 },
    ]);
    const slug = await bench.builder.importSlug({ path, processTypes: { web: "./server" } });
    expect(await namesIn(slug.path)).toEqual(["server"]);
    expect({ ...slug.processTypes }).toEqual({ web: "./server" });
    const evil = await tarball([{ path: "../x", content: "x" }]);
    await expect(bench.builder.importSlug({ path: evil, processTypes: {} })).rejects.toMatchObject({
      code: "unsafe-archive",
    });
    await expect(
      bench.builder.importSlug({ path, processTypes: {}, checksum: `SHA256:${"0".repeat(64)}` }),
    ).rejects.toMatchObject({ code: "checksum-mismatch" });
    expect(await bench.leftovers()).toEqual([]);
  });

  it("are collected when nobody keeps them and they are old enough", async () => {
    let now = Date.now();
    const bench = await makeBench({ clock: { now: () => now, after: () => () => undefined } });
    const build = async (content: string) =>
      await bench.builder.build(
        bench.request({
          source: { kind: "directory", path: await makeTree({ Procfile: "web: x\n", content }) },
        }),
      );
    const [a, b, c] = [await build("a"), await build("b"), await build("c")];
    await bench.builder.removeSlug(c.id);
    await bench.builder.removeSlug("../../etc/passwd");
    expect(await bench.builder.collect({ keep: [a.id] })).toEqual([]);
    now += 3_700_000;
    expect(await bench.builder.collect({ keep: [a.id] })).toEqual([b.id]);
    expect(await readdir(join(bench.directory, "slugs"))).toEqual([`${a.id}.tgz`]);
  });
});

describe("Builder.readFile", () => {
  it("reads a file in the root of a source, and nothing that is no file of it", async () => {
    const bench = await makeBench();
    const path = await tarball([
      { path: "repo/app.json", content: '{"name":"x"}' },
      { path: "repo/deep/app.json", content: "{}" },
      { path: "repo/link", type: "SymbolicLink", linkpath: "app.json" },
      { path: "repo/folder", type: "Directory" },
    ]);
    const source = { kind: "tarball", path } as const;
    const read = (name: string, maxBytes?: number) =>
      bench.builder.readFile({ source, name, ...(maxBytes ? { maxBytes } : {}) });
    expect(String(await read("app.json"))).toBe('{"name":"x"}');
    expect(await read("none.json")).toBeUndefined();
    for (const [name, problem] of [
      ["link", /is a link/],
      ["folder", /is not a file/],
    ] as const)
      await expect(read(name)).rejects.toMatchObject({
        code: "bad-source-file",
        message: expect.stringMatching(problem),
      });
    await expect(read("app.json", 5)).rejects.toThrow("12 bytes long; at most 5");
    await expect(read("../app.json")).rejects.toMatchObject({ code: "bad-request" });
    await expect(
      bench.builder.readFile({ source, name: "app.json", checksum: `SHA256:${"0".repeat(64)}` }),
    ).rejects.toMatchObject({ code: "checksum-mismatch" });
    expect(await bench.leftovers()).toEqual([]);
  });
});

describe("options", () => {
  it("are checked when the builder is made", () => {
    expect(() => new Builder({ directory: "relative" })).toThrow(BuilderError);
    expect(() => new Builder({ directory: "/tmp/x", limits: { maxFiles: -1 } })).toThrow(
      /limits\.maxFiles/,
    );
  });
});
