import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

test("10,000 idle channels take less than 256 MiB (spec/logplex.md §18)", async () => {
  const script = fileURLToPath(new URL("many-channels-child.ts", import.meta.url));
  const args = ["--conditions=@dynokit/source", "--import", "tsx", script];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const { rss, shown } = JSON.parse(stdout) as { rss: number; shown: number };
  expect(shown).toBe(3);
  expect(rss / 2 ** 20).toBeLessThan(256);
});
