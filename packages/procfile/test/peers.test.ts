import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
// @ts-expect-error: the package has no types.
import nodeForeman from "foreman/lib/procfile.js";
// @ts-expect-error: the package has no types.
import parseProcfile from "parse-procfile";
import { afterAll, describe, expect, test } from "vitest";
import { compat, parse, stringify } from "../src/index.ts";

const entry = fc.record({
  name: fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/),
  command: fc.stringMatching(/^[a-zA-Z0-9$./"' =#&|-]{1,20}$/).map((text) => `x${text}y`),
});

test("the readers on npm agree about plain files", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(entry, { selector: ({ name }) => name, minLength: 1 }),
      (entries) => {
        const text = stringify(entries);
        const ours = { ...parse(text).toObject() };
        expect({ ...nodeForeman.procs(text) }).toEqual(ours);
        expect({ ...parseProcfile(text) }).toEqual(ours);
      },
    ),
  );
});

const installed = spawnSync("foreman", ["version"]).status === 0;
const required = process.env["DYNOKIT_REQUIRE"]?.split(" ").includes("foreman") ?? false;
const directory = mkdtempSync(join(tmpdir(), "procfile-peers-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe.skipIf(!installed && !required)(
  `the installed foreman${installed ? "" : " (foreman is not installed)"}`,
  () => {
    test.each([
      "web: a\nworker: b\n",
      "web:a\n my: b\nx : c\n-y-: d\nmy_z: e\n",
      "web: a\nx: b\nweb: c\n",
      "# web: a\n\n// b: c\nx: y\nnot an entry\na.b: c\n",
      "web:\nx: \ny: z\n",
      "\uFEFFweb: a\nx: b\n",
      "<<<<<<< HEAD\nweb: a\n=======\nweb: b\n>>>>>>> x\n",
      "web: a\r\nx: b\r\n",
      "# nothing\n",
    ])("sees in %j what compat says it does", (text) => {
      const path = join(directory, "Procfile");
      writeFileSync(path, text);
      const { failure, seen } = compat(text).peers.foreman;
      if (failure) {
        expect(spawnSync("foreman", ["check", "-f", path]).status).not.toBe(0);
        return;
      }
      const output = execFileSync("foreman", ["check", "-f", path], { encoding: "utf8" });
      expect(output).toContain(
        `valid procfile detected (${seen.map(({ name }) => name).join(", ")})`,
      );
    });
  },
);
