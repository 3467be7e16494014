import { once } from "node:events";
import { request } from "node:http";
import { createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { LocalProject, webScript } from "./support.ts";

const open: LocalProject[] = [];
afterEach(async () => {
  for (const project of open.splice(0)) await project.close();
});

async function make(files: Readonly<Record<string, string>>): Promise<LocalProject> {
  const project = await LocalProject.make(files);
  open.push(project);
  return project;
}

function visit(port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ port, host: "127.0.0.1", headers: { host } }, (incoming) => {
      let text = "";
      incoming.on("data", (chunk) => {
        text += chunk;
      });
      incoming.on("end", () => resolve(text));
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

describe("a run", () => {
  test("starts what the Procfile says with stable ports, the env file and hosts", async () => {
    const project = await make({
      Procfile:
        'web: node web.js\nworker: echo "$DYNO|$PS|${PORT-none}|$PORT_WEB|$COLOUR|$SHELLSAYS"; exec sleep 1000\nrelease: echo migrated\n',
      "web.js": webScript,
      ".env": "COLOUR='light blue'\nSHELLSAYS=file\nPORT=1\n",
    });
    const run = project.startWith({ SHELLSAYS: "shell" }, "-m", "web=2");
    const [, router] = await run.says(/http:\/\/shop\.localhost:(\d+)\//);
    await run.says(/worker\.1 \| worker\.1/);
    expect(run.stdout).toContain(
      `worker.1 | worker.1|worker.1|none|${project.port}|light blue|file`,
    );
    expect(run.stdout).toMatch(/SHELLSAYS: the env file hides the value of this shell/);
    expect(run.stdout).not.toContain("migrated");
    expect(await visit(project.port, "x")).toMatch(/^web\.1 /);
    expect(await visit(project.port + 1, "x")).toMatch(/^web\.2 /);
    const answers = new Set<string>();
    await eventually(async () => {
      const answer = await visit(Number(router), "shop.localhost");
      return answers.add(answer.split(" ")[0] as string).size === 2;
    });
    expect([...answers].sort()).toEqual(["web.1", "web.2"]);
    run.kill("SIGINT");
    expect((await run.end()).code).toBe(130);
    expect(project.processes()).toEqual([]);
  });

  test("Ctrl-C ends grandchildren and what left its group, and says so", async () => {
    const project = await make({
      Procfile:
        "tree: bash -c 'sleep 1000 & sleep 1001 & wait' & setsid sleep 1002 & echo planted; wait\n",
    });
    const run = project.start();
    await run.says(/planted/);
    await eventually(() => project.processes().length >= 5);
    run.kill("SIGINT");
    await run.end();
    expect(project.processes()).toEqual([]);
    expect(run.stdout).toMatch(/Ctrl-C: stopping/);
  });

  test("a second Ctrl-C kills what ignores the first", async () => {
    const project = await make({
      Procfile: `deaf: trap "" TERM INT; echo deaf; while :; do sleep 1; done\n`,
    });
    const run = project.start("--timeout", "3600");
    await run.says(/\| deaf/);
    run.kill("SIGINT");
    await run.says(/Ctrl-C: stopping/);
    run.kill("SIGINT");
    expect((await run.end()).code).toBe(130);
    expect(project.processes()).toEqual([]);
  });

  test("the time-out kills what ignores the signal", async () => {
    const project = await make({
      Procfile: `deaf: trap "" TERM; echo deaf; while :; do sleep 1; done\n`,
    });
    const run = project.start("--timeout", "0.2");
    await run.says(/\| deaf/);
    run.kill("SIGTERM");
    expect((await run.end()).code).toBe(143);
    expect(run.stdout).toMatch(/deaf\.1 did not stop in time and is killed/);
    expect(project.processes()).toEqual([]);
  });

  test("after kill -9 the next run takes over and ends what was left", async () => {
    const project = await make({ Procfile: "web: node web.js\n", "web.js": webScript });
    const first = project.start();
    await first.says(/ready/);
    const before = await visit(project.port, "x");
    first.kill("SIGKILL");
    await first.end();
    const second = project.start();
    await second.says(/ended 1 process that an earlier run left behind/);
    await second.says(/ready/);
    expect(await visit(project.port, "x")).not.toBe(before);
    second.kill("SIGINT");
    await second.end();
    expect(project.processes()).toEqual([]);
  });

  test("a second run in the same directory is refused and harms nothing", async () => {
    const project = await make({ Procfile: "a: echo on; exec sleep 1000\n" });
    const first = project.start();
    await first.says(/\| on/);
    const second = await project.start().end();
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/runs here already \(pid \d+\)/);
    expect((await project.ask("ps")).stdout).toMatch(/a\.1 +up/);
  });

  test("nothing is left behind when the reader of the output goes", async () => {
    const project = await make({ Procfile: "a: while :; do echo tick; sleep 0.05; done\n" });
    const run = project.start();
    await run.says(/tick/);
    run.child.stdout?.destroy();
    await once(run.child, "exit");
    expect(project.processes()).toEqual([]);
  });

  test("a busy port is named with who has it", async () => {
    const project = await make({ Procfile: "web: node web.js\n", "web.js": webScript });
    const server = createServer().listen(project.port);
    await once(server, "listening");
    try {
      const { code, stderr } = await project.start().end();
      expect(code).toBe(1);
      expect(stderr).toContain(`Port ${project.port}, which web.1 is to have, is in use by `);
      expect(stderr).toContain(`(pid ${process.pid})`);
    } finally {
      server.close();
    }
    expect(project.processes()).toEqual([]);
  });

  test("ended dynos start again with a growing wait, the others stay", async () => {
    const project = await make({
      Procfile: "flaky: exit 3\nsteady: echo steady; exec sleep 1000\n",
    });
    const run = project.start();
    // From the end to the next start, so a machine under load says more than 0.5 and 1.
    const waits = () =>
      [...run.stdout.matchAll(/flaky\.1 exited with status 3, starts again in ([\d.]+) s/g)].map(
        ([, wait]) => Number(wait),
      );
    await eventually(() => {
      const [first, ...later] = waits();
      return later.some((wait) => wait > (first as number));
    });
    expect(run.stdout.match(/\| steady/g)).toHaveLength(1);
    // The answer may fall into one of its short lives.
    await eventually(async () => {
      const { stdout } = await project.ask("ps", "--json");
      const rows = JSON.parse(stdout) as { dyno: string; exitStatus?: number }[];
      return rows.find(({ dyno }) => dyno === "flaky.1")?.exitStatus === 3;
    });
  });
});

describe("output", () => {
  test("a last line without its newline is shown, and bytes pass unchanged", async () => {
    const project = await make({ Procfile: "once: printf '\\xff\\x00ok\\nlast'\n" });
    const run = project.start("--once", "once");
    const chunks: Buffer[] = [];
    run.child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
    await run.end();
    const out = Buffer.concat(chunks);
    expect(out.includes(Buffer.from([0x7c, 0x20, 0xff, 0x00, 0x6f, 0x6b, 0x0a]))).toBe(true);
    expect(out.toString("latin1")).toMatch(/once\.1 \| last\n/);
  });

  test("names can be left out and times added", async () => {
    const project = await make({ Procfile: "once: echo one\n" });
    const bare = await project.start("--once", "once", "--no-prefix").end();
    expect(bare.stdout.split("\n")[0]).toBe("one");
    const timed = await project.start("--once", "once", "--timestamps").end();
    expect(timed.stdout).toMatch(/^\d\d:\d\d:\d\d once\.1 \| one$/m);
  });
});

describe("the end", () => {
  test("a run of what runs once ends with its status", async () => {
    const project = await make({ Procfile: "release: echo migrating; exit 4\nweb: sleep 1000\n" });
    const { code, stdout } = await project.start("release").end();
    expect(code).toBe(4);
    expect(stdout).toMatch(/release\.1 \| migrating/);
    expect(project.processes()).toEqual([]);
  });

  test("when nothing is left to run it is over", async () => {
    const project = await make({ Procfile: "a: exit 0\nb: exit 7\n" });
    expect((await project.start("--no-restart").end()).code).toBe(7);
  });

  test("--exit-with any ends everything with the first that ends", async () => {
    const project = await make({ Procfile: "a: sleep 1000\nb: exit 5\n" });
    expect((await project.start("--exit-with", "any").end()).code).toBe(5);
    expect(project.processes()).toEqual([]);
  });

  test("--exit-with web lets others crash", async () => {
    const project = await make({
      Procfile:
        "web: while [ ! -e crashed ]; do sleep 0.1; done; exit 6\nb: touch crashed; exit 5\n",
    });
    expect((await project.start("--exit-with", "web").end()).code).toBe(6);
  });
});

describe("order", () => {
  test("a type waits until what it depends on listens", async () => {
    const project = await make({
      Procfile: "worker: echo worker begins; exec sleep 1000\nweb: sleep 0.5; exec node web.js\n",
      "web.js": webScript,
    });
    const run = project.start("--depends", "worker=web");
    await run.says(/worker begins/);
    expect(run.stdout.indexOf("listening on")).toBeLessThan(run.stdout.indexOf("worker begins"));
    expect(run.stdout).toContain("listening on");
  });

  test("the others wait for a release that is run with them, and not for ever", async () => {
    const project = await make({
      Procfile: "release: sleep 0.3; echo migrated; exit $CODE\na: echo begun; exec sleep 1000\n",
    });
    const good = project.startWith({ CODE: "0" }, "release", "a");
    await good.says(/begun/);
    expect(good.stdout.indexOf("migrated")).toBeLessThan(good.stdout.indexOf("begun"));
    good.kill("SIGINT");
    await good.end();
    const bad = await project.startWith({ CODE: "9" }, "release", "a").end();
    expect(bad.code).toBe(9);
    expect(bad.stdout).not.toContain("begun");
  });
});

test("--watch restarts when a file changes", async () => {
  const project = await make({
    Procfile: "a: echo says $(cat word); exec sleep 1000\n",
    word: "one",
  });
  const run = project.start("--watch");
  await run.says(/says one/);
  project.write("word", "two");
  await run.says(/word changed/);
  await run.says(/says two/);
});
