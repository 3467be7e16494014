/** Runs a dyno with a disk of 4 MiB, asks for a way out, and prints what both say, as JSON. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sandboxKit } from "./kit.ts";

const directory = mkdtempSync(join(tmpdir(), "dynokit-slug-"));
const path = join(directory, "slug.tgz");
writeFileSync(join(directory, "run"), "#!/bin/sh\necho from the slug\n", { mode: 0o755 });
execFileSync("tar", ["-czf", path, "-C", directory, "run"]);
const checksum = `SHA256:${createHash("sha256").update(readFileSync(path)).digest("hex")}`;
const kit = sandboxKit();
const driver = kit.make();
try {
  await driver.start({
    id: "one",
    command:
      "./run && echo changed > run && cat run; head -c 100000000 /dev/zero > f; stat -c %s f; rm f; stat -c %u . run; exit 3",
    env: { PATH: "/usr/bin:/bin" },
    labels: { app: "a", dyno: "web.1", type: "web", release: "r", releaseVersion: "1" },
    slug: { id: "s", path, checksum },
    limits: { diskBytes: 4_194_304 },
  });
  const lines: string[] = [];
  for await (const { bytes } of driver.logs?.("one") ?? [])
    lines.push(Buffer.from(bytes).toString());
  const { exitCode } = await driver.wait("one");
  await driver.destroy("one");
  let egress = "";
  try {
    sandboxKit({ egress: "open" }).make();
  } catch (error) {
    egress = (error as Error).message;
  }
  const { disk } = driver.capabilities().limits;
  process.stdout.write(JSON.stringify({ lines, exitCode, disk, egress }));
} finally {
  await driver.close();
  kit.remove();
  rmSync(directory, { recursive: true, force: true });
}
