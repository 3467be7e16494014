import { once } from "node:events";
import { readdir, utimes } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { gitBench, TOKEN, workingCopy } from "./git-bench.ts";

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

  it("that break off do no harm, and what they left goes after a day", async () => {
    const { port, pushes, repository, url } = await gitBench();
    const work = await workingCopy();
    await work.git(["push", url(), "main"]);
    const objects = join(repository, "objects");
    const quarantine = async () =>
      (await readdir(objects)).filter((name) => /incoming/.test(name)).length;
    const pack = Buffer.from("PACK\0\0\0\x02\0\0\0\x09", "latin1");
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
    outgoing.write(commands(["refs/heads/main"], "1".repeat(40), pack));
    await expect.poll(quarantine, { timeout: 20_000 }).toBe(1);
    outgoing.destroy();
    await once(outgoing, "close");
    await work.commit({ more: "1" });
    expect((await work.git(["push", url(), "main"])).code).toBe(0);
    const [left] = (await readdir(objects)).filter((name) => /incoming/.test(name));
    // It may be of a push that waits for its build, until a day has passed.
    const yesterday = new Date(Date.now() - 25 * 60 * 60 * 1000);
    if (left) await utimes(join(objects, left), yesterday, yesterday);
    await work.commit({ more: "2" });
    expect((await work.git(["push", url(), "main"])).code).toBe(0);
    await expect.poll(quarantine).toBe(0);
    expect(pushes).toHaveLength(3);
  });
});
