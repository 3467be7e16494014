import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { CliProcess, cli } from "../support/cli-process.ts";
import { eventually } from "../support/eventually.ts";
import { inTerminal } from "../support/in-terminal.ts";
import { LocalProject } from "./support.ts";

const open: LocalProject[] = [];
afterEach(async () => {
  for (const project of open.splice(0)) await project.close();
});

async function make(files: Readonly<Record<string, string>>): Promise<LocalProject> {
  const project = await LocalProject.make(files);
  open.push(project);
  return project;
}

const sleepers = {
  Procfile: "a: echo a runs as $$; exec sleep 1000\nb: echo b runs as $$; exec sleep 1000\n",
};
const pids = (text: string, type: string) =>
  [...text.matchAll(new RegExp(`${type} runs as (\\d+)`, "g"))].map((match) => match[1]);

test("restart of a type starts it anew and leaves the others alone", async () => {
  const project = await make(sleepers);
  const run = project.start();
  await run.says(/ready/);
  expect((await project.ask("restart", "a")).code).toBe(0);
  await eventually(() => pids(run.stdout, "a").length === 2);
  expect(new Set(pids(run.stdout, "a")).size).toBe(2);
  expect(pids(run.stdout, "b")).toHaveLength(1);
});

test("stop, start and scale act on one type", async () => {
  const project = await make(sleepers);
  const run = project.start();
  await run.says(/ready/);
  const stopped = await project.ask("stop", "a", "--json");
  expect(JSON.parse(stopped.stdout)).toMatchObject([{ dyno: "b.1" }]);
  expect(project.processes()).toHaveLength(2); // b and dynokit local itself.
  expect((await project.ask("start", "a")).stdout).toMatch(/a\.1/);
  await eventually(() => pids(run.stdout, "a").length === 2);
  expect((await project.ask("scale", "a=3", "b-1")).stdout).toBe("a=3 b=0\n");
  await eventually(() => pids(run.stdout, "a").length === 4);
  expect((await project.ask("stop", "a.2")).stderr).toMatch(/a has 3 dynos/);
});

test("what ended for good is started by start", async () => {
  const project = await make({ Procfile: "a: echo once more; exit 1\nb: exec sleep 1000\n" });
  const run = project.start("--no-restart");
  await run.says(/a\.1 exited with status 1/);
  await project.ask("start", "a");
  await eventually(() => (run.stdout.match(/once more/g) ?? []).length === 2);
});

test("mistakes name what there is", async () => {
  const project = await make(sleepers);
  const run = project.start();
  await run.says(/ready/);
  for (const [args, message] of [
    [["restart", "c"], /no process type "c"\. There are a, b\./],
    [["restart", "a.9"], /no dyno "a\.9"\. There are: a\.1, b\.1\./],
    [["scale", "a=x"], /"x" is not a whole number/],
    [["scale", "c=1"], /no process type "c"/],
    [["attach", "zz"], /no dyno "zz"/],
  ] as const) {
    const { code, stderr } = await project.ask(...args);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  }
  expect((await project.ask("ps")).code).toBe(0);
});

test("without a run the client says how to start one", async () => {
  const project = await make(sleepers);
  const { code, stderr } = await project.ask("ps");
  expect(code).toBe(1);
  expect(stderr).toMatch(/dynokit local does not run in .*: start it/);
});

test("another directory reaches the run by its Procfile", async () => {
  const project = await make(sleepers);
  const run = project.start();
  await run.says(/ready/);
  const path = join(project.directory, "Procfile");
  const { stdout } = await cli(["local", "ps", "-f", path], { env: project.env });
  expect(stdout).toMatch(/b\.1 +up/);
});

test("logs gives history and tail, also of what the screen does not show", async () => {
  const project = await make({
    Procfile: "a: echo first; sleep 0.4; echo second; exec sleep 1000\n",
  });
  const run = project.start();
  await run.says(/first/);
  const tail = new CliProcess(["local", "logs", "--tail"], {
    cwd: project.directory,
    env: project.env,
  });
  await tail.says(/app\[a\.1\]: second/);
  expect(tail.stdout).toMatch(/app\[a\.1\]: first/);
  tail.kill("SIGINT");
  await tail.end();
  const platform = await project.ask("logs", "source:heroku");
  expect(platform.stdout).toMatch(/heroku\[a\.1\]: State changed from starting to up/);
  expect(platform.stdout).not.toMatch(/app\[/);
});

test("attach passes input and shows output, and detaching leaves the dyno running", async () => {
  const project = await make({ Procfile: "echo: while read -r line; do echo got $line; done\n" });
  const run = project.start();
  await run.says(/ready/);
  for (const word of ["one", "two"]) {
    const client = new CliProcess(["local", "attach", "echo"], {
      cwd: project.directory,
      env: project.env,
    });
    await eventually(() => client.stderr.includes("attached to echo.1"));
    client.child.stdin?.write(`${word}\n`);
    await client.says(new RegExp(`got ${word}`));
    client.kill("SIGINT");
    expect((await client.end()).code).toBe(130);
  }
  await run.says(/echo\.1 \| got two/);
  expect((await project.ask("ps")).stdout).toMatch(/echo\.1 +up/);
});

test("attach ends with the dyno and has its status", async () => {
  const project = await make({ Procfile: "ask: read -r line; exit 12\n" });
  const run = project.start("--no-restart");
  await run.says(/ready/);
  const client = new CliProcess(["local", "attach", "ask.1"], {
    cwd: project.directory,
    env: project.env,
    input: "go\n",
  });
  expect((await client.end()).code).toBe(12);
});

test("a type with --tty has a terminal, as large as that of the client, and Ctrl-] leaves it", async () => {
  const project = await make({
    Procfile: 'repl: test -t 0 && while read -r line; do echo "$line: $(stty size)"; done\n',
  });
  const run = project.start("--tty", "repl");
  await run.says(/ready/);
  const { status, rest } = await inTerminal(
    project.env,
    [
      ["Ctrl-\\] detaches", "first\r"],
      ["first: 33 111", "\u001d"],
    ],
    ["local", "attach", "repl"],
    project.directory,
  );
  expect([status, rest]).toEqual([0, expect.not.stringContaining("first")]);
  expect((await project.ask("ps")).stdout).toMatch(/repl\.1 +up/);
  await run.says(/repl\.1 \| first: 33 111/);
});

test("the socket is for the user alone and goes with the run", async () => {
  const project = await make(sleepers);
  const run = project.start();
  await run.says(/ready/);
  const folder = join(project.home, "run", `dynokit-${process.getuid?.()}`);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  const record = JSON.parse(
    readFileSync(join(folder, (await names(folder, ".json"))[0] as string), "utf8"),
  ) as { pid: number };
  expect(record.pid).toBe(run.child.pid);
  run.kill("SIGINT");
  await run.end();
  expect(await names(folder, "")).toEqual([]);
});

async function names(folder: string, end: string): Promise<string[]> {
  const { readdir } = await import("node:fs/promises");
  return (await readdir(folder)).filter((name) => name.endsWith(end));
}
