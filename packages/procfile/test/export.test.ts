// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell variables, not templates.
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parseAllDocuments, parse as parseYaml } from "yaml";
import {
  type ExportOptions,
  type ExportTarget,
  exportFormation,
  exportTargets,
  ProcfileError,
  parse,
} from "../src/index.ts";

const directory = mkdtempSync(join(tmpdir(), "procfile-export-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

// Everything that some format gives a meaning to.
const hostile = `a 'b' "c" \\d %n %% $HOME \${X} $(id) \`id\` ; # <&> é 😀 *`;
const env = {
  PLAIN: "x",
  QUEUE: "*",
  HOSTILE: hostile,
  LINES: "one\ntwo\n\nend script\n",
  QUOTED: `"'`,
  BACK: "\\",
  EMPTY: "",
  TRAIL: "a ",
  TAB: "\t",
};
Object.defineProperty(env, "__proto__", { value: "own", enumerable: true });
// Prints its own argument and environment in a form that survives everything.
const probe = `printf '%s' '${hostile.replaceAll("'", `'\\''`)}' | od -An -tx1 -v; env -0 | od -An -tx1 -v | sed 's/^/E/'; echo '$1;' "a;b" ; # done 50% \\`;
const entries = parse(
  `web: ${probe}\nworker: node jobs.js\nrelease: ./migrate && echo "100%"\n`,
).entries;
const base: ExportOptions = {
  entries,
  env: env as Record<string, string>,
  formation: { web: 2, worker: 1 },
  workingDirectory: directory,
  logDirectory: directory,
};

function write(target: ExportTarget, options: ExportOptions = base) {
  const folder = mkdtempSync(join(directory, `${target}-`));
  const files = exportFormation(target, options);
  for (const { path, content, executable } of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
    if (executable) chmodSync(join(folder, path), 0o755);
  }
  return {
    folder,
    files,
    get: (path: string) => files.find((file) => file.path === path)?.content ?? "",
  };
}

function has(command: string, ...args: string[]): boolean {
  return spawnSync(command, args).status === 0;
}
const python = has("python3", "--version");

/** Runs an argv and checks that the probe saw exactly its text and the given variables. */
function expectProbe(argv: readonly string[], variables: Record<string, string> = {}) {
  const output = execFileSync(argv[0]!, argv.slice(1), {
    encoding: "utf8",
    env: { PATH: process.env["PATH"] ?? "", ...variables },
  });
  const lines = output.split("\n");
  const bytes = (wanted: string[]) =>
    Buffer.from(wanted.join("").replaceAll(" ", ""), "hex").toString("utf8");
  const seen = bytes(lines.filter((line) => line.startsWith(" ")));
  expect(seen).toBe(hostile);
  const pairs = bytes(lines.flatMap((line) => (line.startsWith("E") ? [line.slice(1)] : [])));
  const found = new Map(
    pairs
      .split("\0")
      .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
  for (const [name, value] of Object.entries(env))
    expect([name, found.get(name)]).toEqual([name, value]);
  expect(output).toContain("$1; a;b");
  return found;
}

describe("systemd", () => {
  const units = exportFormation("systemd", base);
  test("writes a target and a service per instance", () => {
    expect(units.map(({ path }) => path)).toEqual([
      "app.target",
      "app-web.1.service",
      "app-web.2.service",
      "app-worker.1.service",
      "app-release.service",
    ]);
  });

  test("quotes ExecStart and Environment so that systemd's own rules give them back", () => {
    const unit = units.find(({ path }) => path === "app-web.1.service")!.content;
    const read = (key: string) =>
      unit
        .split("\n")
        .filter((line) => line.startsWith(`${key}=`))
        .map((line) => line.slice(key.length + 1));
    // systemd.syntax(7), systemd.service(5): C escapes in double quotes, %% and, in ExecStart, $$.
    const unquote = (word: string) => {
      expect(word).toMatch(/^"([^"\\]|\\.)*"$/);
      return word
        .slice(1, -1)
        .replaceAll("%%", "%")
        .replaceAll(/\\(x[0-9a-f]{2}|.)/g, (_, code: string) =>
          code.startsWith("x")
            ? String.fromCharCode(Number.parseInt(code.slice(1), 16))
            : code === "n"
              ? "\n"
              : code,
        );
    };
    const variables = Object.fromEntries(
      read("Environment").map((line) => {
        const pair = unquote(line);
        return [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)];
      }),
    );
    const [exec] = read("ExecStart");
    expect(exec).toMatch(/^\/bin\/sh -c "/);
    const command = unquote(exec!.slice("/bin/sh -c ".length)).replaceAll("$$", "$");
    expect(command).toBe(probe);
    expect(expectProbe(["/bin/sh", "-c", command], variables).get("PORT")).toBe("5000");
    expect(unit).toContain("Restart=always\nRestartSec=14s\n");
    expect(unit).toContain("KillMode=mixed\nKillSignal=SIGTERM\nTimeoutStopSec=30s\n");
  });

  const reason = has("systemd-analyze", "--version") ? false : "systemd-analyze is not installed";
  describe.skipIf(reason !== false && !process.env["DYNOKIT_REQUIRE"]?.includes("systemd"))(
    `systemd-analyze verify${reason ? ` (${reason})` : ""}`,
    () => {
      test.each(["system", "user"] as const)("accepts %s units without a word", (scope) => {
        const { folder, files } = write("systemd", { ...base, scope, user: "root" });
        const { status, stderr, stdout } = spawnSync(
          "systemd-analyze",
          [
            "verify",
            ...(scope === "user" ? ["--user"] : []),
            ...files.map(({ path }) => join(folder, path)),
          ],
          {
            encoding: "utf8",
            env: { ...process.env, XDG_RUNTIME_DIR: directory, SYSTEMD_UNIT_PATH: `${folder}:` },
          },
        );
        const ours = `${stdout}${stderr}`
          .split("\n")
          .filter((line) => line.includes("app-") || line.includes("app.target"));
        expect(ours).toEqual([]);
        expect(status).toBe(0);
      });
    },
  );

  test("user units name no user and are wanted by the user's default target", () => {
    const files = exportFormation("systemd", { ...base, scope: "user", user: "me" });
    expect(files[0]!.content).toContain("WantedBy=default.target");
    for (const { content } of files) expect(content).not.toContain("User=");
  });
});

test("docker compose gets back every text after its own expansion of $", () => {
  const file = write("compose").get("compose.yaml");
  for (const version of ["1.1", "1.2"] as const) {
    const document = parseYaml(file, { version }) as {
      services: Record<string, Record<string, unknown>>;
    };
    const { web, release } = document.services;
    const undo = (value: string) => value.replaceAll("$$", "$");
    const command = (web!["command"] as string[]).map(undo);
    const variables = Object.fromEntries(
      Object.entries(web!["environment"] as Record<string, string>).map(([name, value]) => [
        name,
        undo(value),
      ]),
    );
    expect(command).toEqual(["/bin/sh", "-c", probe]);
    expectProbe(command, variables);
    expect(web).toMatchObject({
      ports: ["5000-5001:5000"],
      stop_signal: "SIGTERM",
      stop_grace_period: "30s",
      deploy: { replicas: 2 },
    });
    expect(release).toMatchObject({ profiles: ["release"], restart: "no" });
  }
});

test("Kubernetes gets Deployments, a Service, a Job and a Secret that it reads back", () => {
  const { files, get } = write("kubernetes", { ...base, namespace: "prod" });
  expect(files.map(({ path }) => path)).toEqual([
    "app-env-secret.yaml",
    "app-web-deployment.yaml",
    "app-web-service.yaml",
    "app-worker-deployment.yaml",
    "app-release-job.yaml",
  ]);
  const documents = files.flatMap(({ content }) =>
    parseAllDocuments(content).map((document) => document.toJS()),
  );
  for (const document of documents) {
    expect(document.metadata.namespace).toBe("prod");
    expect(document.metadata.name).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
  }
  const [secret, web] = documents;
  expect(parseYaml(get("app-env-secret.yaml")).stringData.HOSTILE).toBe(hostile);
  const { command } = web.spec.template.spec.containers[0];
  expectProbe(
    command.map((text: string) => text.replaceAll("$$", "$")),
    secret.stringData,
  );
  expect(web.spec.replicas).toBe(2);
  expect(web.spec.template.spec.terminationGracePeriodSeconds).toBe(30);
  expect(web.spec.selector.matchLabels).toEqual(web.spec.template.metadata.labels);
  expect(documents[4].spec.template.spec.restartPolicy).toBe("Never");
});

test("Kubernetes refuses two names that become one, and keeps long ones within a label", () => {
  const two = [
    { name: "a_b", command: "x" },
    { name: "a-b", command: "y" },
  ];
  expect(() => exportFormation("kubernetes", { entries: two })).toThrow("would both be a-b");
  const [file] = exportFormation("kubernetes", {
    entries: [{ name: "x".repeat(63), command: "y" }],
  });
  expect(parseYaml(file!.content).metadata.name.length).toBeLessThanOrEqual(63);
});

describe.skipIf(!python)(`with Python${python ? "" : " (python3 is not installed)"}`, () => {
  const script = (text: string, ...args: string[]) =>
    JSON.parse(execFileSync("python3", ["-c", text, ...args], { encoding: "utf8" }));

  test("supervisord's ini reader, lexer and % rules give every text back", () => {
    const { folder } = write("supervisord");
    // What supervisor's options.py and datatypes.py do with these two values.
    const read = script(
      `
import configparser, json, shlex, sys
c = configparser.RawConfigParser(inline_comment_prefixes=(';', '#'), strict=False)
c.read(sys.argv[1])
def env(text):
    lexer = shlex.shlex(text)
    lexer.wordchars += '/.+-():'
    t = list(lexer); d = {}; i = 0
    while i < len(t):
        k, eq, v = t[i:i+3]
        assert eq == '='
        d[k] = v.strip('\\'"')
        i += 4
    return d
print(json.dumps({s: {'command': shlex.split(c.get(s, 'command') % {}), 'env': env(c.get(s, 'environment') % {}), 'stop': c.get(s, 'stopsignal') + c.get(s, 'stopwaitsecs')} for s in c.sections() if s.startswith('program:')}))
`,
      join(folder, "app.conf"),
    );
    expect(Object.keys(read)).toContain("program:app-web-2");
    const web = read["program:app-web-2"];
    expect(expectProbe(web.command, web.env).get("PORT")).toBe("5001");
    expect(web.stop).toBe("TERM30");
  });

  test("launchd's property list reader gives every text back", () => {
    const { folder } = write("launchd");
    const read = script(
      "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))",
      join(folder, "app-web-1.plist"),
    );
    expectProbe(read.ProgramArguments, read.EnvironmentVariables);
    expect(read).toMatchObject({ Label: "app-web-1", KeepAlive: true, ExitTimeOut: 30 });
  });
});

test("launchd refuses a control character, which XML can't hold", () => {
  expect(() =>
    exportFormation("launchd", { entries: [{ name: "web", command: "a\x01" }] }),
  ).toThrow(ProcfileError);
});

test("runit's scripts are sound shell and run the command with its variables", () => {
  const { folder, files } = write("runit");
  for (const { path, executable } of files) {
    expect(executable).toBe(true);
    execFileSync("sh", ["-n", join(folder, path)]);
  }
  expect(expectProbe([join(folder, "app-web-2/run")]).get("PORT")).toBe("5001");
});

test("upstart's script block is sound shell and runs the command with its variables", () => {
  const { get } = write("upstart");
  const conf = get("app-web-1.conf");
  const block = /\nscript\n([\s\S]*?)\nend script\n$/.exec(conf)?.[1] ?? "";
  expect(block.split("\n")).not.toContain("end script");
  const path = join(directory, "upstart.sh");
  writeFileSync(path, block);
  expectProbe(["sh", "-e", path]);
  expect(conf).toContain("kill signal SIGTERM\nkill timeout 30\n");
});

test("PM2's ecosystem file loads and holds every text", () => {
  const { folder } = write("pm2");
  const { apps } = createRequire(import.meta.url)(join(folder, "ecosystem.config.cjs"));
  expect(apps.map(({ name }: { name: string }) => name)).toEqual([
    "app-web-1",
    "app-web-2",
    "app-worker-1",
    "app-release-1",
  ]);
  const [web, , , release] = apps;
  expectProbe(
    [web.script, ...web.args],
    Object.fromEntries(Object.entries(web.env)) as Record<string, string>,
  );
  expect(Object.hasOwn(web.env, "__proto__")).toBe(true);
  expect(web.kill_timeout).toBe(30_000);
  expect(release.autorestart).toBe(false);
});

test("Nomad's strings escape its templates and read back", () => {
  const { files, get } = write("nomad");
  expect(files.map(({ path }) => path)).toEqual(["app.nomad.hcl", "app-release.nomad.hcl"]);
  const job = get("app.nomad.hcl");
  const literal = /args\s+= \["-c", ("(?:[^"\\]|\\.)*")\]/.exec(job)?.[1] ?? "";
  expect(literal.replaceAll("$${", "")).not.toMatch(/\$\{/);
  expect(literal.replaceAll("%%{", "")).not.toMatch(/%\{/);
  expect(JSON.parse(literal.replaceAll("$${", "${").replaceAll("%%{", "%{"))).toBe(probe);
  expect(job).toContain('kill_timeout = "30s"');
  let depth = 0;
  for (const character of job.replaceAll(/"(?:[^"\\]|\\.)*"/g, "")) {
    if (character === "{") depth++;
    if (character === "}") depth--;
    expect(depth).toBeGreaterThanOrEqual(0);
  }
  expect(depth).toBe(0);
});

test("a template gets values by name and quotes them by filter", () => {
  const template = {
    files: [
      {
        per: "instance",
        path: "{{app}}-{{type}}.{{instance}}",
        content: "{{dyno}} {{port}} {{command|sh}} {{env.PLAIN|json}}",
      },
      { path: "all", content: "{{app|xml}} {{stopTimeoutSeconds}}" },
    ],
  } as const;
  const files = exportFormation(template, {
    entries: [{ name: "web", command: "a 'b'" }],
    env: { PLAIN: "x" },
  });
  expect(files.map(({ path, content }) => [path, content])).toEqual([
    ["app-web.1", `web.1 5000 'a '\\''b'\\''' "x"`],
    ["all", "app 30"],
  ]);
  const bad = { files: [{ path: "x", content: "{{comand}}" }] };
  expect(() => exportFormation(bad, base)).toThrow('"comand"');
  expect(() => exportFormation({ files: [{ path: "x", content: "{{app|nope}}" }] }, base)).toThrow(
    "filter",
  );
});

test("a function is a target too", () => {
  const files = exportFormation(
    ({ types }) => [{ path: "n", content: String(types.length), executable: false }],
    base,
  );
  expect(files[0]!.content).toBe("3");
});

describe.each(exportTargets)("%s", (target) => {
  test("is pure: the same options give the same files", () => {
    expect(exportFormation(target, base)).toEqual(exportFormation(target, base));
  });

  test("takes the stop signal and time-out of the options", () => {
    const all = exportFormation(target, { ...base, stopSignal: "SIGINT", stopTimeoutSeconds: 77 })
      .map(({ content }) => content)
      .join("");
    if (target !== "runit") expect(all).toContain("77");
    if (!["runit", "kubernetes", "launchd"].includes(target)) expect(all).toMatch(/INT/);
  });

  test("survives an empty Procfile", () => {
    expect(() => exportFormation(target, { entries: [] })).not.toThrow();
  });
});

describe("refuses", () => {
  const refused: readonly (readonly [string, Partial<ExportOptions>])[] = [
    ["invalid-option", { app: "../x" }],
    ["invalid-option", { stopTimeoutSeconds: -1 }],
    ["invalid-option", { workingDirectory: "a\nb" }],
    ["invalid-option", { basePort: 0 }],
    ["invalid-name", { entries: [{ name: "../x", command: "a" }] }],
    ["invalid-command", { entries: [{ name: "x", command: "a\nExecStart=b" }] }],
    ["invalid-env-key", { env: { "A B": "x" } }],
    ["invalid-env-value", { env: { A: "\0" } }],
  ];
  test.each(refused)("%s: %j", (code, options) => {
    expect(() => exportFormation("systemd", { ...base, ...options })).toThrow(
      expect.objectContaining({ code }),
    );
  });

  test("an unknown target, with a suggestion", () => {
    expect(() => exportFormation("systemdd" as never, base)).toThrow('"systemd"');
  });
});
