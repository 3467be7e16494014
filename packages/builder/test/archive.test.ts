import { execFileSync } from "node:child_process";
import { createReadStream } from "node:fs";
import {
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { extractArchive } from "../src/archive/extract.ts";
import { packDirectory } from "../src/archive/pack.ts";
import { walkTree } from "../src/archive/walk.ts";
import { BuilderError } from "../src/index.ts";
import {
  makeTree,
  namesIn,
  type RawEntry,
  rawTar,
  tarball,
  temporaryDirectory,
} from "./support/fixtures.ts";

const limits = { maxUnpackedBytes: 50_000_000, maxFiles: 1000, maxRatio: 200 };

async function extract(entries: readonly RawEntry[], over: Partial<typeof limits> = {}) {
  const parent = await temporaryDirectory();
  const into = join(parent, "in");
  await mkdir(into);
  let error: unknown;
  await extractArchive(createReadStream(await tarball(entries)), into, {
    ...limits,
    ...over,
  }).catch((caught: unknown) => {
    error = caught;
  });
  return { parent, into, error };
}

describe("unpacking an untrusted archive", () => {
  const hostile: Record<string, readonly RawEntry[]> = {
    "a path with ..": [{ path: "../evil", content: "x" }],
    "a path with .. inside": [{ path: "a/../../evil", content: "x" }],
    "an absolute path": [{ path: "/evil", content: "x" }],
    "a link to an absolute path": [{ path: "l", type: "SymbolicLink", linkpath: "/etc/passwd" }],
    "a link out": [{ path: "d/l", type: "SymbolicLink", linkpath: "../../evil" }],
    "a file through a link": [
      { path: "l", type: "SymbolicLink", linkpath: "d" },
      { path: "l/evil", content: "x" },
    ],
    "a file through a link to its parent": [
      { path: "d", type: "Directory" },
      { path: "d/l", type: "SymbolicLink", linkpath: ".." },
      { path: "d/l/evil", content: "x" },
    ],
    "a hard link out": [{ path: "h", type: "Link", linkpath: "../evil" }],
    "a hard link to a host file": [{ path: "h", type: "Link", linkpath: "/etc/passwd" }],
    "a hard link to a link": [
      { path: "l", type: "SymbolicLink", linkpath: "x" },
      { path: "h", type: "Link", linkpath: "l" },
    ],
    "a device": [{ path: "null", type: "CharacterDevice" }],
    "a FIFO": [{ path: "pipe", type: "FIFO" }],
  };
  for (const [name, entries] of Object.entries(hostile))
    it(`refuses ${name}`, async () => {
      const { parent, error } = await extract([{ path: "ok", content: "fine" }, ...entries]);
      expect(BuilderError.is(error) && error.code).toBe("unsafe-archive");
      expect(await readdir(parent)).toEqual(["in"]);
    });

  it("keeps files, modes, inner links and hard links", async () => {
    const { into, error } = await extract([
      { path: "./bin/", type: "Directory", mode: 0o000 },
      { path: "./bin/run", content: "#!/bin/sh\n", mode: 0o4755 },
      { path: "./secret", content: "s", mode: 0o000 },
      { path: "./bin/again", type: "Link", linkpath: "bin/run" },
      { path: "./bin/up", type: "SymbolicLink", linkpath: "../secret" },
    ]);
    expect(error).toBeUndefined();
    expect(await readFile(join(into, "bin/up"), "utf8")).toBe("s");
    expect(await readFile(join(into, "bin/again"), "utf8")).toBe("#!/bin/sh\n");
    expect((await stat(join(into, "bin/run"))).mode & 0o7777).toBe(0o755);
    expect((await stat(join(into, "secret"))).mode & 0o7777).toBe(0o644);
  });

  it("takes the later of two entries of one name", async () => {
    const { into } = await extract([
      { path: "a", content: "1" },
      { path: "a", content: "2" },
    ]);
    expect(await readFile(join(into, "a"), "utf8")).toBe("2");
  });

  it("stops at the limits of files, bytes and ratio", async () => {
    const many = Array.from({ length: 11 }, (_, i) => ({ path: `f${i}` }));
    expect((await extract(many, { maxFiles: 10 })).error).toMatchObject({
      code: "too-large",
      details: { name: "maxFiles" },
    });
    const big = [{ path: "big", content: "x".repeat(5000) }];
    expect((await extract(big, { maxUnpackedBytes: 4999 })).error).toMatchObject({
      code: "too-large",
      details: { name: "maxUnpackedBytes" },
    });
    const bomb = [{ path: "zeros", content: "\0".repeat(8_000_000) }];
    expect((await extract(bomb)).error).toMatchObject({
      code: "too-large",
      details: { name: "maxRatio" },
    });
  });

  it("says bad-archive for noise, emptiness, a cut stream and double compression", async () => {
    const tar = rawTar([{ path: "a", content: "hello ".repeat(100) }]);
    const cases = [
      Buffer.from("this is no archive ".repeat(100)),
      Buffer.alloc(0),
      gzipSync(tar).subarray(0, 60),
      gzipSync(gzipSync(tar)),
      tar.subarray(0, 700),
    ];
    for (const bytes of cases) {
      const into = await temporaryDirectory();
      const source = (async function* () {
        yield bytes;
      })();
      await expect(extractArchive(source, into, limits)).rejects.toMatchObject({
        code: "bad-archive",
      });
    }
  });

  it("takes links whose text is a directory of their own path", async () => {
    const { into, error } = await extract([
      { path: "lib/lib", content: "x" },
      { path: "lib/x", type: "SymbolicLink", linkpath: "lib" },
      { path: "a/b/c", type: "SymbolicLink", linkpath: "a" },
      { path: "a/b/d", type: "SymbolicLink", linkpath: "a/b/" },
      { path: "e/f", type: "SymbolicLink", linkpath: "e/f/g" },
      { path: "h/i", type: "SymbolicLink", linkpath: "H" },
    ]);
    expect(error).toBeUndefined();
    expect(await readFile(join(into, "lib/x"), "utf8")).toBe("x");
    expect(await readlink(join(into, "a/b/c"))).toBe("../b/a");
    expect(await readlink(join(into, "a/b/d"))).toBe("../b/a/b/");
    expect(await readlink(join(into, "e/f"))).toBe("../e/e/f/g");
    expect(await readlink(join(into, "h/i"))).toBe("../h/H");
  });

  it("refuses links through themselves", async () => {
    for (const entries of [
      [{ path: "a", type: "SymbolicLink", linkpath: "a/b" }],
      [
        { path: "a", content: "x" },
        { path: "a/b", type: "Link", linkpath: "a" },
      ],
      [
        { path: "a/b", content: "x" },
        { path: "a", type: "Link", linkpath: "a/b" },
      ],
    ] satisfies RawEntry[][])
      expect((await extract(entries)).error).toMatchObject({ code: "unsafe-archive" });
  });

  it("never throws anything else and never writes outside, whatever the bytes", async () => {
    const name = fc.constantFrom(
      "a",
      "b",
      "..",
      ".",
      "",
      "l",
      "c/d",
      "../x",
      "/etc/x",
      "l/../../x",
    );
    const entry = fc.record({
      path: fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/")),
      type: fc.constantFrom("File", "Directory", "SymbolicLink", "Link") as fc.Arbitrary<
        NonNullable<RawEntry["type"]>
      >,
      linkpath: fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/")),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 8 }), async (entries) => {
        const { parent, error } = await extract(entries);
        expect(await readdir(parent)).toEqual(["in"]);
        if (error !== undefined && !BuilderError.is(error)) throw error;
      }),
      { numRuns: 150 },
    );
  });
});

describe("packing a slug", () => {
  async function pack(root: string, options = {}) {
    const to = join(await temporaryDirectory(), "slug.tgz");
    return { to, ...(await packDirectory(root, to, options)) };
  }
  const files = {
    Procfile: "web: ./run\n",
    run: { run: "#!/bin/sh\n" },
    "lib/b.txt": "b",
    "lib/a.txt": "a",
    "lib/link": { link: "a.txt" },
    [`deep/${"n".repeat(120)}/${"m".repeat(150)}.txt`]: "long name",
    "ünïcode/✓.txt": "u",
  };

  it("depends on names, contents and the executable bit alone", async () => {
    const one = await makeTree(files);
    const two = await makeTree(Object.fromEntries(Object.entries(files).reverse()));
    await utimes(join(two, "run"), 1, 1);
    const [a, b] = [await pack(one), await pack(two)];
    expect(a.sha256).toBe(b.sha256);
    await writeFile(join(two, "lib/a.txt"), "changed");
    expect((await pack(two)).sha256).not.toBe(a.sha256);
  });

  it("puts the entries at the root, without a leading directory", async () => {
    const { to } = await pack(await makeTree({ Procfile: "web: x\n", "lib/a": "a" }));
    expect(await namesIn(to)).toEqual(["Procfile", "lib/", "lib/a"]);
  });

  it("is read by the system's tar and by our own extraction, byte for byte", async () => {
    const root = await makeTree(files);
    const { to } = await pack(root);
    const other = await temporaryDirectory();
    execFileSync("tar", ["-xzf", to, "-C", other]);
    expect(execFileSync("diff", ["-r", "--no-dereference", root, other]).toString()).toBe("");
    const again = await temporaryDirectory();
    await extractArchive(createReadStream(to), again, limits);
    expect(execFileSync("diff", ["-r", "--no-dereference", root, again]).toString()).toBe("");
  });

  it("makes links to the app's own absolute path relative and refuses links out", async () => {
    const root = await makeTree({
      "a/x": "x",
      "b/c/l": { link: "/app/a/x" },
      top: { link: "/app" },
    });
    const { to } = await pack(root, { rootAliases: ["/app"] });
    const into = await temporaryDirectory();
    await extractArchive(createReadStream(to), into, limits);
    expect(await readFile(join(into, "b/c/l"), "utf8")).toBe("x");
    await symlink("/etc/passwd", join(root, "out"));
    await expect(pack(root)).rejects.toMatchObject({ code: "unsafe-archive" });
  });

  it("stops at the limit of bytes", async () => {
    const noise = Array.from({ length: 50_000 }, (_, i) => (i * 2654435761) % 4294967296).join("");
    await expect(pack(await makeTree({ noise }), { maxBytes: 10_000 })).rejects.toMatchObject({
      code: "too-large",
    });
  });

  it("gives any tree of plain files back", async () => {
    const segment = fc.stringMatching(/^[a-zA-Z0-9 _äß.-]{1,40}$/).filter((s) => !/^\.+$/.test(s));
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(segment, fc.uint8Array({ maxLength: 2000 }), { maxKeys: 10 }),
        async (tree) => {
          const root = await temporaryDirectory();
          for (const [name, bytes] of Object.entries(tree))
            await writeFile(join(root, name), bytes);
          const { to } = await pack(root);
          const into = await temporaryDirectory();
          const read = extractArchive(createReadStream(to), into, limits);
          if (Object.keys(tree).length === 0) {
            await expect(read).rejects.toMatchObject({ code: "bad-archive" });
            return;
          }
          await read;
          for await (const entry of walkTree(into))
            expect([...(await readFile(join(into, entry.path)))]).toEqual([
              ...(tree[entry.path] ?? []),
            ]);
        },
      ),
      { numRuns: 30 },
    );
  });
});
