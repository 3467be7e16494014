import assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { fixture } from "../fixtures.ts";
import { needs } from "../needs.ts";
import type { Check } from "../types.ts";

// What a shell, or an engine, may add to the given environment.
const ADDED = new Set(["HOME", "PATH", "PORT", "PWD", "OLDPWD", "SHLVL", "_", "HOSTNAME"]);
const CANARY = "DYNOKIT_KIT_CANARY";

function parseEnvironment(text: string): Map<string, string> {
  return new Map(
    text
      .split("\0")
      .filter((entry) => entry.includes("="))
      .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
}

export const startChecks: readonly Check[] = [
  {
    number: 6,
    name: "start.handle-json",
    concern: "start",
    passes: "the handle survives JSON and names driver, id and labels",
    async run(context) {
      const spec = context.spec(fixture("exit", "0"));
      const handle = await context.driver.start(spec);
      assert.deepEqual(JSON.parse(JSON.stringify(handle)), handle);
      assert.equal(handle.version, 1);
      assert.equal(handle.id, spec.id);
      assert.equal(handle.driver, context.driver.info().name);
      assert.deepEqual(handle.labels, spec.labels);
      assert.ok(Math.abs(handle.startedAt - Date.now()) < 60_000, "startedAt is not the present");
    },
  },
  {
    number: 7,
    name: "start.duplicate-id",
    concern: "start",
    passes: "a second start with a live id gives `already-exists` and the first is unharmed",
    async run(context) {
      const { id } = await context.start(fixture("sleep"));
      await context.rejects(
        () => context.driver.start(context.spec(fixture("exit", "5"), { id })),
        "already-exists",
      );
      const { state } = await context.driver.inspect(id);
      assert.notEqual(state, "exited", "the first dyno was harmed");
    },
  },
  {
    number: 8,
    name: "start.env-exact",
    concern: "start",
    passes: "the dyno sees exactly the given environment and nothing of the parent's",
    skip: needs("logs"),
    async run(context) {
      process.env[CANARY] = "seen";
      try {
        const env = { PATH: context.path, ALPHA: "1", EMPTY: "" };
        const { stdout } = await context.run(["env", "-0"], { env });
        const seen = parseEnvironment(stdout);
        for (const [name, value] of Object.entries(env)) assert.equal(seen.get(name), value, name);
        const extra = [...seen.keys()].filter((name) => !ADDED.has(name) && !(name in env));
        assert.deepEqual(extra, [], "variables that nobody gave");
      } finally {
        delete process.env[CANARY];
      }
    },
  },
  {
    number: 9,
    name: "start.env-odd-values",
    concern: "start",
    passes: "values with newline, quotes, `=` and UTF-8 arrive unchanged",
    skip: needs("logs"),
    async run(context) {
      const env = {
        NEWLINE: "one\ntwo\n\nfour",
        QUOTES: `'single' "double" \`back\` \\slash`,
        EQUALS: "a=b=c",
        DOLLAR: "$HOME $(id) %s",
        UTF8: "grüße, 世界, 🚀",
      };
      const { stdout } = await context.run(["env", "-0"], { env });
      const seen = parseEnvironment(stdout);
      for (const [name, value] of Object.entries(env)) assert.equal(seen.get(name), value, name);
    },
  },
  {
    number: 10,
    name: "start.cwd",
    concern: "start",
    passes: "the dyno begins in the directory of its code",
    skip: needs("logs"),
    async run(context) {
      const { stdout } = await context.run(fixture("readFile", "marker"), {
        ...(await context.code({ marker: "here\n" })),
      });
      assert.equal(stdout.split("\n")[0], "here", "the code is not in the working directory");
      if (!context.allows("cwd")) return;
      const cwd = realpathSync(context.directory());
      const run = await context.run(["pwd"], { cwd });
      if (!context.capabilities.isolation.filesystem) assert.equal(run.stdout, cwd);
    },
  },
  {
    number: 11,
    name: "start.argv-exact",
    concern: "start",
    passes: "arguments with spaces, quotes, `$` and `*` arrive unchanged in argv form",
    skip: needs("logs"),
    async run(context) {
      const words = ["a b", `it's "quoted"`, "$HOME", "*", "", "\\n", "-n", "ünïcode", "a;b&&c|d"];
      const { stdout } = await context.run(fixture("echo", ...words, "end"));
      assert.deepEqual(stdout.split("\n"), [...words, "end"]);
    },
  },
  {
    number: 12,
    name: "start.shell-form",
    concern: "start",
    passes: "`a && b`, pipes, `VAR=x cmd` and `$PORT` work in shell form",
    skip: needs("logs"),
    async run(context) {
      const { stdout } = await context.run(
        `false || echo one && echo two | tr a-z A-Z; VAR=x sh -c 'echo "$VAR"'; echo "port $PORT"`,
        { port: true },
      );
      const lines = stdout.split("\n");
      assert.deepEqual(lines.slice(0, 3), ["one", "TWO", "x"]);
      assert.match(lines[3] ?? "", /^port \d+$/);
    },
  },
  {
    number: 13,
    name: "start.missing-binary",
    concern: "start",
    passes: "a non-retryable error, or exit 127, as declared; nothing is left behind",
    async run(context) {
      const spec = context.spec(["dynokit-no-such-program"]);
      if (context.capabilities.missingBinary === "error") {
        const error = await context.rejects(
          () => context.driver.start(spec),
          ["invalid-spec", "failed"],
        );
        assert.equal(error.retryable, false, "a missing program is not cured by another try");
        await context.rejects(() => context.driver.inspect(spec.id), "not-found");
      } else {
        await context.driver.start(spec);
        assert.equal((await context.driver.wait(spec.id)).exitCode, 127);
      }
      await context.listed((ids) => assert.ok(!ids.includes(spec.id), "still listed"));
    },
  },
  {
    number: 14,
    name: "start.bad-cwd",
    concern: "start",
    passes: "the error names the directory",
    async run(context) {
      if (!context.allows("cwd")) context.skip("dynos get their code by slug only");
      const cwd = join(context.directory(), "missing");
      const spec = context.spec(fixture("exit", "0"), { cwd });
      const error = await context.rejects(
        () => context.driver.start(spec),
        ["invalid-spec", "failed"],
      );
      assert.ok(error.message.includes(cwd), `"${error.message}" does not name ${cwd}`);
    },
  },
  {
    number: 15,
    name: "start.abort",
    concern: "start",
    passes: "an abort during the start leaves no process",
    async run(context) {
      const before = context.spec(fixture("nested", context.word));
      await context.rejects(
        () => context.driver.start(before, { signal: AbortSignal.abort() }),
        "aborted",
      );
      for (const delayMs of [0, 5, 40]) {
        const spec = context.spec(fixture("nested", context.word));
        const abort = new AbortController();
        const starting = context.driver.start(spec, { signal: abort.signal });
        const timer = setTimeout(() => abort.abort(), delayMs);
        const started = await starting.then(
          () => true,
          (error: unknown) => {
            assert.equal((error as { code?: unknown }).code, "aborted");
            return false;
          },
        );
        clearTimeout(timer);
        if (started) await context.driver.destroy(spec.id, { force: true });
        await context.listed((ids) =>
          assert.ok(!ids.includes(spec.id), "an aborted start is listed"),
        );
      }
      await context.until(
        async () => (await context.observe()) === 0,
        "processes of an aborted start are left",
      );
    },
  },
  {
    number: 16,
    name: "start.parallel",
    concern: "start",
    passes: "many starts at once are all distinct and all stop",
    async run(context) {
      const count = context.options.parallel ?? 50;
      const handles = await Promise.all(
        Array.from({ length: count }, () =>
          context.driver.start(context.spec(fixture("sleep"), { port: true })),
        ),
      );
      const ids = new Set(handles.map(({ id }) => id));
      assert.equal(ids.size, count);
      await context.listed((live) => {
        for (const id of ids) assert.ok(live.includes(id), `${id} is not listed`);
      });
      const addresses = handles.flatMap(({ address }) =>
        address ? [JSON.stringify(address)] : [],
      );
      assert.equal(new Set(addresses).size, addresses.length, "two dynos have one address");
      await Promise.all([...ids].map((id) => context.driver.stop(id, { timeoutMs: 5_000 })));
      await context.listed((live) =>
        assert.deepEqual(
          live.filter((id) => ids.has(id)),
          [],
        ),
      );
    },
  },
];
