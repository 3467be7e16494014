import { spawn } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PlatformProcess } from "./support/platform.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
// As in the repository: the data directory is inside a package of ES modules.
const home = mkdtempSync(join(tmpdir(), "dynokit-tutorial-"));
writeFileSync(join(home, "package.json"), '{ "type": "module" }\n');
let platform: PlatformProcess;

beforeAll(async () => {
  const commands = join(home, "node_modules/.bin");
  mkdirSync(commands, { recursive: true });
  // In one file the command starts in a fifth of the time that it takes from its sources.
  const program = join(home, "cli/dist/dynokit.js");
  buildSync({
    entryPoints: [join(root, "packages/cli/src/main.ts")],
    outfile: program,
    bundle: true,
    platform: "node",
    format: "esm",
    conditions: ["@dynokit/source"],
    external: ["@dynokit/driver-*"],
    banner: {
      js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
    },
  });
  copyFileSync(join(root, "packages/cli/package.json"), join(home, "cli/package.json"));
  symlinkSync(join(root, "node_modules"), join(home, "cli/node_modules"));
  const command = `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`;
  writeFileSync(join(commands, "dynokit"), command, { mode: 0o755 });
  platform = await new PlatformProcess(join(home, "data")).ready();
}, 120_000);
afterAll(async () => {
  await platform.stop();
  rmSync(home, { recursive: true, force: true });
});

/** Runs a script in one shell, which ends at the first command that fails. */
function shell(script: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn("sh", ["-ec", script], {
      cwd: home,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], HOME: home, XDG_CONFIG_HOME: join(home, ".config") },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => (output += chunk));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

test("every command of the tutorial works as it stands", { timeout: 120_000 }, async () => {
  const page = readFileSync(join(root, "docs/tutorial/first-app.md"), "utf8");
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map((match) => match[1] as string);
  expect(blocks.shift()).toBe("npm start\n");
  const script = blocks
    .join("\n")
    .replaceAll("http://127.0.0.1:5000", platform.apiUrl)
    .replaceAll("http://127.0.0.1:8080", `http://127.0.0.1:${platform.routerPort}`);
  const { code, output } = await shell(script);
  expect(code, output).toBe(0);
  const said = [...output.matchAll(/^(Hello|Hi) from web\.\d$/gm)].map((match) => match[1]);
  expect(said, output).toEqual(["Hello", "Hi", "Hello"]);
  expect(output).toMatch(/^web\.3: up /m);
  expect(output).toMatch(/heroku\[router\]: at=info .*host="?hello\.localhost/);
  expect(output).toMatch(/^Hi\r?$/m);
});
