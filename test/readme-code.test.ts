import { spawn } from "node:child_process";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
// A module of its own that finds @dynokit/* through the repository's node_modules.
const directory = mkdtempSync(join(tmpdir(), "dynokit-readme-"));
symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
writeFileSync(join(directory, "package.json"), JSON.stringify({ type: "module" }));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const tsx = join(root, "node_modules/tsx/dist/cli.mjs");

function run(file: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [tsx, "--conditions=@dynokit/source", file], {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 50_000,
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

const pages = [
  "README.md",
  ...["packages", "examples"].flatMap((folder) =>
    readdirSync(join(root, folder)).map((name) => `${folder}/${name}/README.md`),
  ),
  ...["explanation", "guides", "reference", "tutorial"].flatMap((folder) =>
    readdirSync(join(root, "docs", folder)).map((name) => `docs/${folder}/${name}`),
  ),
];

for (const page of pages) {
  let text = "";
  try {
    text = readFileSync(join(root, page), "utf8");
  } catch {
    // Required by a test of its own below.
  }
  const blocks = [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map((match) => match[1] as string);
  describe(page, () => {
    test("exists", () => expect(text).not.toBe(""));
    for (const [index, block] of blocks.entries())
      test(`code block ${index + 1} runs`, async () => {
        const file = join(directory, `${page.replaceAll(/[^a-z]/gi, "-")}-${index}.ts`);
        writeFileSync(file, block);
        const { code, output } = await run(file);
        expect(output, output).not.toMatch(/^\s+at .*\.ts:\d+/m);
        expect(code, output).toBe(0);
      });
  });
}
