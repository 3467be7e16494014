import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as kit from "@dynokit/manifold";

/** The machine's side. Reads directory, count of words, words and environment, so that none is in a process list. */
const far = `my ($dir, $n, @in) = split /\\0/, join("", <STDIN>), -1; my @argv = splice(@in, 0, $n);
pop @in; %ENV = @in; chdir($dir) or die "$dir: $!"; $| = 1; my $pid = fork() // die "fork: $!";
if (!$pid) { setpgrp(0, 0); open(STDIN, "<", "/dev/null"); print "$$\\n"; exec { $argv[0] } @argv; warn "$argv[0]: $!"; exit 127 }
waitpid($pid, 0); my $how = $?; kill("KILL", -$pid);
exit($how & 127 ? 128 + ($how & 127) : $how >> 8)`;

interface Dyno {
  readonly handle: kit.DriverHandle;
  readonly logs: kit.LogBuffer;
  readonly exited: Promise<kit.ExitResult>;
  result?: kit.ExitResult;
}
const capabilities = kit.defineCapabilities({ signal: true, logs: true, containment: "group" });
const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
let started = Math.floor(Math.random() * 12_000); // Each start has the next port.

/** Resolves when the dyno and its output have ended; above 128 is the number of a signal, as shells tell it. */
async function exitOf(child: ChildProcess, startedAt: number): Promise<kit.ExitResult> {
  const [code] = await once(child, "close");
  const signal = kit.signalOfStatus(code) ?? null;
  const exitCode = signal ? null : code;
  return { exitCode, signal, oomKilled: false, startedAt, endedAt: Date.now() };
}

/**
 * Dynos on another machine, over SSH: `sshDriver({ via: ["ssh", "-T", "me@host"], host: "10.0.0.7" })`.
 * `via` runs one line of shell; the machine needs sh and perl. Code is a directory there (`cwd`).
 */
export function sshDriver(options: { via?: string[]; host?: string; dynos?: Map<string, Dyno> }) {
  const { via = ["sh", "-c"], host = "127.0.0.1", dynos = new Map<string, Dyno>() } = options;
  const find = (id: string): Dyno => {
    const dyno = dynos.get(id);
    if (!dyno) throw kit.DriverError.notFound(id);
    return dyno;
  };
  const run = (...words: string[]) =>
    spawn(via[0] ?? "sh", [...via.slice(1), words.map(quote).join(" ")], { detached: true });
  const send = async (dyno: Dyno, signal: string, target: "all" | "main"): Promise<void> => {
    const pid = String(dyno.handle.data?.["pid"]);
    if (dyno.result) return;
    await once(
      run("kill", "-s", signal.slice(3), "--", target === "all" ? `-${pid}` : pid),
      "exit",
    );
  };
  return {
    info: () => ({ name: "ssh", version: "1.0.0", interfaceRange: "^1.0.0" }),
    capabilities: () => capabilities,
    async start(spec, { signal } = {}) {
      kit.throwIfAborted(signal);
      const { cwd = "/", slug, ...rest } = spec;
      kit.checkSpec(rest, capabilities);
      const { id, labels, command } = spec;
      if (slug) throw new kit.DriverError("not-supported", "Slugs can't be run; give `cwd`");
      if (dynos.has(id) && !find(id).result)
        throw new kit.DriverError("already-exists", `The dyno "${id}" is alive; stop it first`);
      const port = 20_000 + (started++ % 12_000);
      const env = { ...spec.env, ...(spec.port && { PORT: String(port) }) };
      const argv = typeof command === "string" ? ["/bin/sh", "-c", command] : command;
      const [child, logs, startedAt] = [run("perl", "-e", far), new kit.LogBuffer(), Date.now()];
      child.stdin.end([cwd, argv.length, ...argv, ...Object.entries(env).flat(), ""].join("\0"));
      child.stderr.on("data", (chunk: Buffer) => logs.push("stderr", chunk));
      const exited = exitOf(child, startedAt);
      const pid = await new Promise<number | undefined>((resolve) => {
        let told = false;
        child.once("close", () => resolve(undefined));
        child.stdout.on("data", (chunk: Buffer) => {
          logs.push("stdout", told ? chunk : chunk.subarray(chunk.indexOf("\n") + 1));
          if (!told) resolve(Number.parseInt(String(chunk), 10)); // Comes first, in one write.
          told = true;
        });
      });
      if (!pid) throw new kit.DriverError("failed", `No start in "${cwd}" by "${via.join(" ")}"`);
      const address = spec.port && { address: { host, port } };
      const handle = {
        version: 1,
        driver: "ssh",
        id,
        labels,
        startedAt,
        data: { pid },
        ...address,
      } as const;
      const dyno: Dyno = { handle, logs, exited };
      dynos.set(id, dyno);
      void exited.then((result) => {
        dyno.result = result;
        logs.end();
      });
      return handle;
    },
    recover: async () => ({ state: "lost" }),
    wait: async (id, { signal } = {}) => kit.untilAborted(find(id).exited, signal),
    async stop(id, { signal = "SIGTERM", timeoutMs = 30_000, scope = "all" } = {}) {
      const [name, dyno] = [kit.checkSignal(signal), dynos.get(id)];
      if (!dyno || dyno.result) return;
      const [ask, kill] = [() => send(dyno, name, scope), () => send(dyno, "SIGKILL", "all")];
      await kit.escalatingStop({ ask, kill, exited: dyno.exited, timeoutMs });
    },
    async destroy(id, { force = false } = {}) {
      const dyno = dynos.get(id);
      if (!dyno) return;
      if (!dyno.result && !force) throw new kit.DriverError("failed", `"${id}" runs; stop it`);
      await send(dyno, "SIGKILL", "all");
      await dyno.exited;
      dynos.delete(id);
    },
    async inspect(id) {
      const { handle, result } = find(id);
      return result ? { state: "exited", handle, result } : { state: "running", handle };
    },
    list: async () => [...dynos.values()].filter((dyno) => !dyno.result).map((dyno) => dyno.handle),
    signal: async (id, name) => send(find(id), kit.checkSignal(name), "main"),
    logs: (id, options) => find(id).logs.read(options),
    close: async () => {},
  } satisfies kit.DynoDriver;
}
