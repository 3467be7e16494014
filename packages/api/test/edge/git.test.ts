import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { gitBench, TOKEN, workingCopy } from "./git-bench.ts";

describe("git over the edge", () => {
  it("deploys a push to main over HTTPS and shows the build's output", async () => {
    const { url, pushes, authority, asked } = await gitBench();
    const work = await workingCopy();
    const { code, out } = await work.git(["push", url("demo", TOKEN, "https"), "main"], {
      GIT_SSL_CAINFO: authority.caPath,
    });
    expect(out).toContain("remote: -----> Building");
    expect(out).toContain("main -> main");
    expect(code).toBe(0);
    expect(pushes).toHaveLength(1);
    expect(pushes[0]).toMatchObject({
      app: { name: "demo" },
      user: { id: "user-1" },
      branch: "main",
      commit: work.first,
      source: { kind: "git", commit: work.first },
    });
    expect(asked.at(-1)).toEqual({
      app: "demo",
      service: "git-receive-pack",
      username: "heroku",
      password: TOKEN,
      address: "127.0.0.1",
    });
  });

  it("lets the handler read the code while the push is still undecided", async () => {
    let read = "";
    const { url, repository } = await gitBench({
      push: async ({ source }) => {
        read = execFileSync("git", ["show", `${source.commit}:Procfile`], {
          cwd: source.repository,
          env: {
            PATH: process.env["PATH"],
            GIT_OBJECT_DIRECTORY: source.objectDirectory,
            GIT_ALTERNATE_OBJECT_DIRECTORIES: source.alternateObjectDirectories,
          },
        }).toString();
        throw new Error("no\nreally no");
      },
    });
    const work = await workingCopy();
    const { code, out } = await work.git(["push", url(), "main"]);
    expect(read).toBe("web: x\n");
    expect(code).toBe(1);
    expect(out).toContain("remote:  !     no");
    expect(out).toContain("remote:  !     really no");
    expect(out).toContain("! [remote rejected] main -> main (pre-receive hook declined)");
    // A refused push leaves nothing.
    expect(execFileSync("git", ["for-each-ref"], { cwd: repository }).toString()).toBe("");
    expect(await readdir(join(repository, "objects"))).toEqual(["info", "pack"]);
  });

  it("does not repeat a reason that the output gave", async () => {
    const { url } = await gitBench({
      push: async ({ output }) => {
        output(Buffer.from("\n !     It does not compile.\n !     Push rejected, sorry.\n"));
        throw new Error("It does not compile.");
      },
    });
    const work = await workingCopy();
    const { out } = await work.git(["push", url(), "main"]);
    expect(out.match(/It does not compile/g)).toHaveLength(1);
    expect(out.match(/Push rejected/g)).toHaveLength(1);
  });

  it("can be cloned and fetched, with the deployed branch as HEAD", async () => {
    const { url, repository } = await gitBench();
    const work = await workingCopy();
    await work.git(["push", url(), "main"]);
    const clone = await work.git(["clone", "-q", url(), "copy"]);
    expect(clone).toEqual({ code: 0, out: "" });
    expect(await readFile(join(work.directory, "copy", "Procfile"), "utf8")).toBe("web: x\n");
    const shallow = await work.git([
      "-c",
      "protocol.version=2",
      "clone",
      "-q",
      "--depth=1",
      url(),
      "c2",
    ]);
    expect(shallow.code).toBe(0);
    await work.commit({ more: "1" });
    await work.git(["push", url(), "main:master"]);
    expect(await readFile(join(repository, "HEAD"), "utf8")).toBe("ref: refs/heads/master\n");
  });

  it("keeps other branches and tags without building them", async () => {
    const { url, pushes } = await gitBench();
    const work = await workingCopy();
    const branch = await work.git(["push", url(), "main:feature"]);
    expect(branch.code).toBe(0);
    expect(branch.out).toContain("remote: Pushed to a branch other than main, skipping build.");
    await work.git(["tag", "v1"]);
    expect((await work.git(["push", url(), "v1"])).code).toBe(0);
    expect((await work.git(["push", url(), ":feature"])).code).toBe(0);
    expect(pushes).toHaveLength(0);
    expect((await work.git(["push", url(), "feature:main"])).code).not.toBe(0);
    expect((await work.git(["push", url(), "v1^{commit}:refs/heads/main"])).code).toBe(0);
    expect(pushes).toHaveLength(1);
  });

  it("refuses to delete what is deployed and to push two deploy branches at once", async () => {
    const { url, pushes } = await gitBench();
    const work = await workingCopy();
    const both = await work.git(["push", url(), "main", "main:master"]);
    expect(both.code).toBe(1);
    expect(both.out).toContain("not both at once");
    await work.git(["push", url(), "main"]);
    const gone = await work.git(["push", url(), ":main"]);
    expect(gone.code).toBe(1);
    expect(gone.out).toContain("can't be deleted");
    expect(pushes).toHaveLength(1);
  });

  it("takes forced pushes and large ones, chunked and compressed", async () => {
    const { url, pushes } = await gitBench();
    const work = await workingCopy();
    await work.git(["push", url(), "main"]);
    await work.git(["checkout", "-q", "--orphan", "other"]);
    const commit = await work.commit({ "big.bin": randomBytes(5_000_000) });
    expect((await work.git(["push", url(), "other:main"])).code).toBe(1);
    expect((await work.git(["push", "-f", url(), "other:main"])).code).toBe(0);
    expect(pushes.at(-1)?.commit).toBe(commit);
  });

  it("refuses pushes above the limit", async () => {
    const { url, pushes } = await gitBench({ maxPushBytes: 100_000 });
    const work = await workingCopy();
    await work.commit({ "big.bin": randomBytes(300_000) });
    const { code, out } = await work.git(["push", url(), "main"]);
    expect(code).not.toBe(0);
    expect(out).toMatch(/exceeds maximum allowed size|unpack|remote end hung up/);
    expect(pushes).toHaveLength(0);
  });

  it("answers 401, 403, 404 and 429 in a form that git shows", async () => {
    const { url, port, pushes } = await gitBench();
    const work = await workingCopy();
    const push = async (target: string) => (await work.git(["push", target, "main"])).out;
    expect(await push(url("demo", "wrong"))).toMatch(/Authentication failed/);
    expect(await push(`http://localhost:${port}/demo.git`)).toMatch(
      /could not read Username|terminal prompts disabled/,
    );
    expect(await push(url("nothing"))).toMatch(/not found/);
    expect(await push(url("locked"))).toMatch(/remote: You may not push to this app\.[\s\S]*403/);
    expect(await push(url("busy"))).toMatch(
      /remote: Your account reached the API rate limit\.[\s\S]*429/,
    );
    const first = await fetch(
      `http://localhost:${port}/nothing.git/info/refs?service=git-receive-pack`,
    );
    expect(first.status).toBe(401);
    expect(first.headers.get("www-authenticate")).toBe('Basic realm="dynokit"');
    const limited = await fetch(
      `http://localhost:${port}/busy.git/info/refs?service=git-upload-pack`,
      {
        headers: { authorization: `Basic ${Buffer.from(`x:${TOKEN}`).toString("base64")}` },
      },
    );
    expect(limited.status).toBe(429);
    expect(limited.headers.get("retry-after")).toBe("30");
    expect(pushes).toHaveLength(0);
  });

  it("serves nothing but smart HTTP, and no path outside of the repositories", async () => {
    const { port, asked } = await gitBench();
    const headers = { authorization: `Basic ${Buffer.from(`x:${TOKEN}`).toString("base64")}` };
    for (const path of [
      "/demo.git/HEAD",
      "/demo.git/config",
      "/demo.git/objects/info/packs",
      "/demo.git/info/refs",
      "/demo.git/info/refs?service=git-shell",
      "/demo.git/git-receive-pack",
      "/demo.git/",
      "/..%2f..%2fetc.git/info/refs?service=git-upload-pack",
      "/.git/info/refs?service=git-upload-pack",
      "/-x.git/info/refs?service=git-upload-pack",
    ]) {
      const { status } = await fetch(`http://localhost:${port}${path}`, { headers });
      expect(
        [403, 404, 200].includes(status) && (status !== 200 || path.startsWith("/.git")),
        path,
      ).toBe(true);
    }
    expect(asked).toEqual([]);
  });

  it("shows output live, while the build runs", async () => {
    let finish: () => void = () => undefined;
    const { url } = await gitBench({
      push: async ({ output }) => {
        output(Buffer.from("first line\n"));
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        output(Buffer.from("last line\n"));
      },
    });
    const work = await workingCopy();
    const child = work.start(["push", url(), "main"]);
    let text = "";
    child.stderr.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    while (!text.includes("remote: first line")) await once(child.stderr, "data");
    expect(text).not.toContain("last line");
    finish();
    expect((await once(child, "close"))[0]).toBe(0);
    expect(text).toContain("remote: last line");
  });

  it("goes on to its end when the client is killed", async () => {
    let begun: () => void = () => undefined;
    let finish: () => void = () => undefined;
    const running = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const { url, repository, edge } = await gitBench({
      push: async ({ output }) => {
        output(Buffer.from("building\n"));
        begun();
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        output(Buffer.from("x".repeat(200_000)));
      },
    });
    const work = await workingCopy();
    const child = work.start(["push", url(), "main"]);
    await running;
    const killed = once(child, "close");
    // git pushes through a helper of its own.
    process.kill(-child.pid!, "SIGKILL");
    await killed;
    finish();
    await edge.close({ drainMs: 100 });
    expect(await readFile(join(repository, "refs", "heads", "main"), "utf8").catch(() => "")).toBe(
      `${work.first}\n`,
    );
  });

  it("handles pushes to one app one after the other", async () => {
    const finish: (() => void)[] = [];
    const begun: string[] = [];
    const { url } = await gitBench({
      push: async ({ commit }) => {
        begun.push(commit);
        await new Promise<void>((resolve) => finish.push(resolve));
      },
    });
    const [one, two] = [await workingCopy({ a: "1" }), await workingCopy({ a: "2" })];
    const first = one.git(["push", url(), "main"]);
    while (finish.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const child = two.start(["push", "-f", url(), "main"]);
    const ended = once(child, "close");
    let text = "";
    child.stderr.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    while (!text.includes("Waiting for another push")) await once(child.stderr, "data");
    expect(begun).toEqual([one.first]);
    finish.shift()?.();
    expect((await first).code).toBe(0);
    // It was made against the state before, so it is refused before anything is built.
    expect((await ended)[0]).toBe(1);
    expect(text).toContain("was changed by another push meanwhile");
    expect(begun).toEqual([one.first]);
  });

  it("refuses pushes under way when the edge closes, and leaves no process", async () => {
    let begun: () => void = () => undefined;
    const running = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const { url, edge, directory } = await gitBench({
      push: async ({ signal }) => {
        begun();
        await once(signal, "abort");
        throw new Error("The platform is shutting down.");
      },
    });
    const work = await workingCopy();
    const child = work.start(["push", url(), "main"]);
    let text = "";
    child.stderr.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    const ended = once(child, "close");
    await running;
    await edge.close();
    expect((await ended)[0]).toBe(1);
    expect(text).toContain("The platform is shutting down.");
    for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name)))
      expect(await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "")).not.toContain(
        directory,
      );
  });

  it("kills what does not end in time", async () => {
    let begun: () => void = () => undefined;
    const running = new Promise<void>((resolve) => {
      begun = resolve;
    });
    let end: () => void = () => undefined;
    const { url, edge } = await gitBench({
      closeTimeoutMs: 50,
      push: async () => {
        begun();
        await new Promise<void>((resolve) => {
          end = resolve;
        });
      },
    });
    const work = await workingCopy();
    const push = work.git(["push", url(), "main"]);
    await running;
    await edge.close();
    expect((await push).code).not.toBe(0);
    end();
  });

  it("removes a repository with its app", async () => {
    const { url, edge, repository } = await gitBench();
    const work = await workingCopy();
    await work.git(["push", url(), "main"]);
    await edge.removeRepository("11111111-app");
    await edge.removeRepository("11111111-app");
    await expect(readdir(repository)).rejects.toThrow(/ENOENT/);
    await expect(edge.removeRepository("../x")).rejects.toThrow(/can't name a repository/);
    expect((await work.git(["push", url(), "main"])).code).toBe(0);
  });
});
