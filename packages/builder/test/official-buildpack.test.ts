import { describe, expect, it } from "vitest";
import { makeBench, makeTree, namesIn } from "./support/fixtures.ts";

// Somebody else's code is not part of this repository: DYNOKIT_TEST_NODEJS_BUILDPACK is a checkout of
// Heroku's Node.js buildpack, DYNOKIT_TEST_NODE_TARBALL a tarball with `bin/node` and npm in one folder.
const buildpack = process.env["DYNOKIT_TEST_NODEJS_BUILDPACK"];
const tarball = process.env["DYNOKIT_TEST_NODE_TARBALL"];

describe.skipIf(!buildpack || !tarball)(
  "Heroku's Node.js buildpack (needs DYNOKIT_TEST_NODEJS_BUILDPACK and DYNOKIT_TEST_NODE_TARBALL)",
  () => {
    it("compiles unmodified, with and without a cache, to the same slug", {
      timeout: 120_000,
    }, async () => {
      const bench = await makeBench({ buildpacks: { official: buildpack as string } });
      const path = await makeTree({
        "package.json": JSON.stringify({
          name: "shop",
          version: "1.0.0",
          scripts: { start: "node server.js", build: "echo yes > built.txt" },
        }),
        "package-lock.json": JSON.stringify({
          name: "shop",
          version: "1.0.0",
          lockfileVersion: 3,
          packages: { "": { name: "shop", version: "1.0.0" } },
        }),
        "server.js": "",
      });
      const build = () =>
        bench.builder.build(
          bench.request({
            source: { kind: "directory", path },
            buildpacks: [{ url: "official" }],
            env: { NODE_BINARY_URL: `file://${tarball}` },
          }),
        );
      const first = await build();
      expect({ ...first.processTypes }).toEqual({ web: "npm start" });
      expect(first.buildpackDescription).toBe("Node.js");
      expect(await namesIn(first.path)).toEqual(
        expect.arrayContaining([".heroku/node/bin/node", ".profile.d/nodejs.sh", "built.txt"]),
      );
      expect((await build()).checksum).toBe(first.checksum);
      expect(bench.text()).toContain("Restoring cache");
    });
  },
);
