import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
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
import { afterAll, describe, expect, it } from "vitest";
import { driverChecks } from "../src/testing/index.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const program = fileURLToPath(new URL("../src/cli.ts", import.meta.url));
const tsx = join(root, "node_modules/tsx/dist/cli.mjs");
const directory = mkdtempSync(join(tmpdir(), "dynokit-driver-check-"));
symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function execute(parameters: readonly string[], cwd = directory): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [tsx, "--conditions=@dynokit/source", ...parameters],
      // A test runner in the environment would make node:test report to it.
      { cwd, env: { PATH: process.env["PATH"] }, stdio: ["ignore", "pipe", "pipe"] },
    );
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk) => (stdout += chunk));
    child.stderr.on("data", (chunk) => (stderr += chunk));
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, stdout, stderr }));
  });
}

const command = (...parameters: readonly string[]) => execute([program, ...parameters]);

function write(name: string, text: string): string {
  writeFileSync(join(directory, name), text);
  return `./${name}`;
}

const memoryModule = (break_: string) => `
  import { memoryDriver } from "@dynokit/manifold";
  import { memoryFixtures } from "@dynokit/manifold/testing";
  const { world } = memoryDriver();
  export const make = () => {
    const driver = memoryDriver({ world, script: memoryFixtures });
    ${break_}
    return driver;
  };
  export const options = { observe: (word) => world.processes(word) };
`;

describe("dynokit-driver-check", () => {
  it("prints a table and ends with 0 when all checks pass", async () => {
    const { status, stdout, stderr } = await command("memory");
    expect(stderr).toBe("");
    expect(status).toBe(0);
    for (const { number, name } of driverChecks)
      expect(stdout).toMatch(
        new RegExp(`^ *${number} +${name.replace(".", "\\.")} +(pass|skip) `, "m"),
      );
    expect(stdout).toMatch(/^\d+ passed, 0 failed, \d+ skipped$/m);
    expect(stdout).toMatch(/net\.two +skip +\d+ ms {2}isolation\.network not declared$/m);
  });

  it("ends with 1 and explains when a check fails", async () => {
    const module = write(
      "broken.mjs",
      memoryModule(`driver.wait = async () => { throw new TypeError("boom"); };`),
    );
    const { status, stdout } = await command(module, "--only", "wait.exit-code");
    expect(status).toBe(1);
    expect(stdout).toMatch(/17 +wait\.exit-code +FAIL/);
    expect(stdout).toContain("wait.exit-code passes when: 0, 1, 2, 127 and 255 are reported");
    expect(stdout).toContain("boom");
    expect(stdout).toContain("0 passed, 1 failed, 0 skipped");
  });

  it("prints the results as JSON", async () => {
    const module = write("good.mjs", memoryModule(""));
    const { status, stdout } = await command(module, "--json", "--only", "info", "--only", "stats");
    expect(status).toBe(0);
    const rows = JSON.parse(stdout) as readonly Record<string, unknown>[];
    expect(rows.map(({ number, name, outcome }) => [number, name, outcome])).toEqual([
      [1, "info.shape", "passed"],
      [45, "stats.interval", "skipped"],
      [46, "stats.ends", "skipped"],
      [47, "stats.tree", "skipped"],
    ]);
    expect(rows[1]).toMatchObject({ concern: "stats", reason: "stats not declared" });
  });

  it("prints the results as Markdown", async () => {
    const { stdout } = await command("memory", "--markdown", "--only", "net");
    expect(stdout).toBe(
      [
        "| # | Check | Result | Why not |",
        "| --- | --- | --- | --- |",
        "| 64 | `net.port` | pass | |",
        "| 65 | `net.two` | skip | isolation.network not declared |",
        "",
        "1 passed, 0 failed, 1 skipped",
        "",
      ].join("\n"),
    );
  });

  it("tells what a driver can do here, and what is lost where it can't", async () => {
    const module = write(
      "weak.mjs",
      `import { defineCapabilities, memoryDriver } from "@dynokit/manifold";
       export const make = () => Object.assign(memoryDriver(), {
         capabilities: () => defineCapabilities({ limits: { memory: "sampled" } }),
         async *fingerprint() { yield { root: false, tools: ["a", "b"], controllers: [] }; },
       });`,
    );
    const [table, json] = await Promise.all([
      command("doctor", module),
      command("doctor", module, "--json"),
    ]);
    expect([table.status, table.stderr]).toEqual([0, ""]);
    expect(table.stdout).toMatch(/^memory \d+\.\d+\.\d+$/m);
    expect(table.stdout).toMatch(/^limits\.memory +sampled +memory is watched and not limited/m);
    expect(table.stdout).toMatch(/^recover +none +dynos end, or are lost, with the program$/m);
    expect(table.stdout).toMatch(/^tools +a b$/m);
    expect(table.stdout).toMatch(/^controllers +none$/m);
    expect(JSON.parse(json.stdout)).toMatchObject({
      info: { name: "memory" },
      host: [{ key: "root", value: "false" }, {}, {}],
      capabilities: expect.arrayContaining([
        { key: "exec", value: "false", lost: "no commands inside a running dyno" },
        { key: "logOverflow", value: "drop" },
      ]),
    });
  });

  it("lists the checks", async () => {
    const [table, json] = await Promise.all([command("list"), command("list", "--json")]);
    expect(table.stdout.trimEnd().split("\n")).toHaveLength(72);
    expect(JSON.parse(json.stdout)[71]).toMatchObject({ number: 72, name: "soak.chaos" });
  });

  it("prints its help on stdout and ends with 0", async () => {
    const { status, stdout, stderr } = await command("--help");
    expect([status, stderr]).toEqual([0, ""]);
    for (const word of ["--only", "--cycles", "--seed", "--json", "--markdown", "init", "list"])
      expect(stdout).toContain(word);
  });

  it.each([
    [[], "Name a driver"],
    [["process", "memory"], "Name one driver"],
    [["init"], "Name one directory"],
    [["doctor"], "Name one driver"],
    [["list", "process"], `"list" takes no more words`],
    [["--nonsense"], "--nonsense"],
    [["memory", "--cycles", "many"], `--cycles is "many"; give a whole number above 0`],
    [["memory", "--seed", "0"], "--seed"],
    [["memory", "--only", "nothing"], `No check begins with "nothing"`],
    [["memory", "--json", "--markdown"], "not both"],
    [["./missing.mjs"], `The module "./missing.mjs" can't be loaded`],
  ])("ends with 2 and says why on stderr for %j", async (parameters, message) => {
    const { status, stdout, stderr } = await command(...parameters);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
  });

  it("says how a file that Node does not load by itself can be", async () => {
    const { status, stderr } = await command(write("driver.other", "export {};\n"));
    expect(status).toBe(2);
    expect(stderr).toContain("start this command by tsx");
  });

  it("ends with 2 for a module without a driver", async () => {
    const module = write("empty.mjs", "export const drivers = [];\n");
    const { status, stderr } = await command(module);
    expect(status).toBe(2);
    expect(stderr).toContain(`does not export a function "make"`);
  });
});

describe("describeDriver without a runner given", () => {
  it("uses node:test: what fails fails there, and a skip has its reason", async () => {
    write(
      "kit.test.mjs",
      `${memoryModule("driver.destroy = async () => {};")}
       import { describeDriver } from "@dynokit/manifold/testing";
       describeDriver(make, { ...options, name: "mine", only: ["info", "destroy", "stats.tree"] });`,
    );
    const { status, stdout } = await execute(["--test", "--test-reporter=tap", "kit.test.mjs"]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^ *ok \d+ - 1 info\.shape: /m);
    expect(stdout).toMatch(/^ *not ok \d+ - 30 destroy\.running: /m);
    expect(stdout).toMatch(/47 stats\.tree: .* # SKIP stats not declared$/m);
    expect(stdout).toMatch(/^not ok 1 - mine$/m);
  });
});

describe("dynokit-driver-check init", () => {
  it("makes a package that passes the kit, types and all", async () => {
    const { status, stdout } = await command(
      "init",
      "made",
      "--name",
      "@me/dynokit-driver-big-box",
    );
    expect(status).toBe(0);
    expect(stdout).toContain("npm install");
    const made = join(directory, "made");
    expect(readdirSync(made).sort((left, right) => (left < right ? -1 : 1))).toEqual([
      ".gitignore",
      "README.md",
      "package.json",
      "src",
      "test",
      "tsconfig.json",
    ]);
    const manifest = JSON.parse(readFileSync(join(made, "package.json"), "utf8"));
    expect(manifest.name).toBe("@me/dynokit-driver-big-box");
    expect(manifest.peerDependencies["@dynokit/manifold"]).toMatch(/^\^\d+\.\d+\.\d+$/);
    const source = readFileSync(join(made, "src/driver.ts"), "utf8");
    expect(source).toContain("export function bigBoxDriver(");
    expect(source).toContain('name: "big-box"');
    for (const file of ["src/driver.ts", "src/index.ts", "test/kit.ts", "README.md"])
      expect(readFileSync(join(made, file), "utf8")).not.toMatch(/template|MANIFOLD_VERSION/i);

    // The kit with the runner of the template, as `npm test` has it.
    const kit = await execute(["--test", "--test-reporter=tap", "test/driver.test.ts"], made);
    expect(kit.stdout, kit.stderr).toMatch(/^# fail 0$/m);
    expect(kit.status).toBe(0);
    expect(kit.stdout).toMatch(/^ok 1 - driver conformance$/m);

    const types = spawnSync(
      process.execPath,
      [
        join(root, "node_modules/typescript/bin/tsc"),
        "-p",
        "tsconfig.json",
        "--noEmit",
        "--customConditions",
        "@dynokit/source",
      ],
      { cwd: made, encoding: "utf8" },
    );
    expect(types.stdout).toBe("");
  }, 120_000);

  it("writes nothing into a directory that has something", async () => {
    mkdirSync(join(directory, "full"));
    writeFileSync(join(directory, "full/mine.txt"), "");
    const { status, stderr } = await command("init", "full");
    expect(status).toBe(2);
    expect(stderr).toContain("is not empty; nothing was written");
    expect(readdirSync(join(directory, "full"))).toEqual(["mine.txt"]);
  });

  it("refuses a name that no package can have", async () => {
    const { status, stderr } = await command("init", "other", "--name", "Not A Name");
    expect(status).toBe(2);
    expect(stderr).toContain(`"Not A Name" can't be the name of a package`);
    expect(existsSync(join(directory, "other"))).toBe(false);
  });
});
