import { execFileSync, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DynoDriver, DynoLimits, DynoSpec, LogChunk } from "@dynokit/manifold";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sandboxKit } from "./support/kit.ts";
import { describeWalls } from "./support/requirement.ts";

const MIB = 1_048_576;

describeWalls("hostile dynos", (runtime) => {
  /** Inside, a sandbox has users of its own; a container has those of the host. */
  const user = runtime === "bwrap" ? /^1000$/ : /^4\d{5}$/;
  let driver: DynoDriver;
  let kit: ReturnType<typeof sandboxKit>;
  let counter = 0;

  beforeAll(() => {
    kit = sandboxKit({ runtime, tmpBytes: 8 * MIB });
    driver = kit.make();
  });

  afterAll(async () => {
    for (const { id } of await driver.list()) await driver.destroy(id, { force: true });
    await driver.close();
    kit.remove();
  });

  async function start(
    command: DynoSpec["command"],
    more: Partial<DynoSpec> & { readonly limits?: DynoLimits } = {},
  ): Promise<string> {
    const id = `h${process.pid}-${++counter}`;
    await driver.start({
      id,
      command,
      env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
      labels: { app: "a", dyno: "web.1", type: "web", release: "r", releaseVersion: "1" },
      ...more,
    });
    return id;
  }

  async function chunksOf(id: string): Promise<LogChunk[]> {
    const chunks: LogChunk[] = [];
    for await (const chunk of driver.logs?.(id) ?? []) {
      chunks.push(chunk);
      driver.acknowledge?.(id, chunk.cursor);
    }
    return chunks;
  }

  /** Both streams of a program that ends, and how it ended. */
  async function run(command: DynoSpec["command"], more: Partial<DynoSpec> = {}) {
    const id = await start(command, more);
    const chunks = await chunksOf(id);
    const result = await driver.wait(id);
    await driver.destroy(id);
    const text = chunks.map(({ bytes }) => Buffer.from(bytes).toString()).join("\n");
    return { text, result };
  }

  /** Until a line of this text came. */
  async function line(id: string, text: string): Promise<void> {
    for await (const { bytes } of driver.logs?.(id) ?? [])
      if (Buffer.from(bytes).toString() === text) return;
    throw new Error(`The dyno ended without "${text}"`);
  }

  const processesWith = (word: string) =>
    readdirSync("/proc").filter((name) => {
      try {
        return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, "latin1").includes(word);
      } catch {
        return false;
      }
    }).length;

  it.each([
    ["the host's password file", "cat /etc/shadow"],
    ["root's home", "ls /root"],
    ["homes", "ls /home"],
    ["the state of the driver", "ls $STATE"],
    ["a file of the host by the root of process 1", "cat /proc/1/root/etc/shadow"],
    ["the memory of process 1", "head -c 1 /proc/1/mem"],
    ["kernel memory", "head -c 1 /dev/mem"],
    ["a disk", "head -c 1 /dev/sda /dev/vda"],
    ["a new mount", "mount -t tmpfs none /tmp"],
    ["an unmount", "umount /proc"],
    ["a namespace of users", "unshare -U true"],
    ["a namespace of mounts", "unshare -m true"],
    ["a device node", "mknod /tmp/d b 8 0"],
    ["a write to /usr", "touch /usr/x"],
    ["a write to /etc", "touch /etc/x"],
    ["a write to /", "touch /x"],
    ["a write to /dev", "touch /dev/x"],
    ["a write to the kernel's settings", "echo 1 > /proc/sys/kernel/panic"],
    ["a trigger", "echo h > /proc/sysrq-trigger"],
    ["another host name", "hostname x"],
    ["the clock", "date -s 2000-01-01"],
    ["root by a setuid program", "su -c id root </dev/null"],
  ])("refuses %s", async (_, command) => {
    const { result } = await run(command, {
      env: { PATH: "/usr/local/bin:/usr/bin:/bin", STATE: kit.stateDirectory },
    });
    expect(result.exitCode).not.toBe(0);
  });

  it.runIf(process.arch === "x64")(
    "refuses system calls that widen the reach, and keeps those of ordinary programs",
    async () => {
      const script = `
      use strict;
      my %calls = (ptrace => 101, keyctl => 250, bpf => 321, userfaultfd => 323, io_uring => 425,
        perf => 298, vmread => 310, unshare => 272, open_tree => 428, add_key => 248);
      for (sort keys %calls) { $! = 0; syscall($calls{$_}, 0, 0, 0, 0, 0); print "$_ ", $! + 0, "\\n" }
      $! = 0; syscall(56, 0x10000000 | 17, 0, 0, 0, 0); print "clone ", $! + 0, "\\n";
      $! = 0; syscall(435, 0, 0); print "clone3 ", $! + 0, "\\n";
      for ([1, 1], [2, 1], [10, 1], [16, 3], [17, 3], [38, 5], [40, 1]) {
        $! = 0; my $fd = syscall(41, $_->[0], $_->[1], 0); print "socket$_->[0] ", $fd >= 0 ? "ok" : $! + 0, "\\n" }
      $! = 0; my $fd = syscall(41, 2, 3, 1); print "raw ", $fd >= 0 ? "ok" : $! + 0, "\\n";
      $! = 0; my $x = "x"; syscall(16, 0, 0x5412, $x); print "tiocsti ", $! + 0, "\\n";
    `;
      const { text } = await run(["perl", "-e", script]);
      const found = Object.fromEntries(text.split("\n").map((row) => row.split(" ")));
      for (const name of ["ptrace", "keyctl", "bpf", "userfaultfd", "io_uring", "perf", "vmread"])
        expect(found[name], name).toBe("1");
      for (const name of ["unshare", "open_tree", "add_key", "clone", "raw", "tiocsti"])
        expect(found[name], name).toBe("1");
      expect(found).toMatchObject({
        clone3: "38",
        socket1: "ok",
        socket2: "ok",
        socket10: "ok",
        socket16: "ok",
        socket17: "97",
        socket38: "97",
        socket40: "97",
      });
    },
  );

  it("gives no capability, no new privileges and a filter, to exec'd programs too", async () => {
    const id = await start("echo $$ > pid; echo ready; sleep 1000");
    await line(id, "ready");
    const command =
      "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; cat /proc/$(cat pid)/status | grep -E '^(Cap|NoNewPrivs|Seccomp:)'";
    const session = await driver.exec?.(id, ["sh", "-c", command]);
    let text = "";
    for await (const { bytes } of session?.output ?? []) text += Buffer.from(bytes).toString();
    const rows = text.trim().split("\n");
    expect(rows, text).toHaveLength(14);
    for (const row of rows) expect(row).toMatch(/^(Cap\w+:\s0{16}|NoNewPrivs:\s1|Seccomp:\s2)$/);
    await driver.destroy(id, { force: true });
  });

  it("shows no process, environment or address of anything outside", async () => {
    const word = `secret-${randomBytes(6).toString("hex")}`;
    process.env["HOSTILE_CANARY"] = word;
    const neighbour = await start("echo ready; sleep 1000", {
      env: { PATH: "/usr/bin:/bin", OWN: word },
    });
    await line(neighbour, "ready");
    const { text } = await run(
      "ls /proc | grep -c '^[0-9]'; cat /proc/*/environ /proc/*/cmdline | tr '\\0' ' '; cat /proc/net/dev",
    );
    delete process.env["HOSTILE_CANARY"];
    expect(text).not.toContain(word);
    expect(text).not.toContain(kit.stateDirectory);
    expect(text).not.toContain("eth0");
    expect(Number(text.split("\n")[0])).toBeLessThan(8);
    await driver.destroy(neighbour, { force: true });
  });

  it("does not let variables work on what is outside", async () => {
    const marker = join(tmpdir(), `dynokit-marker-${randomBytes(6).toString("hex")}`);
    const { text, result } = await run("echo fine", {
      env: {
        PATH: "/usr/bin:/bin",
        PERL5OPT: `-Mstrict -e"system('touch ${marker}')"`,
        PERL5LIB: "/app",
        BASH_ENV: "/app/x",
        LD_LIBRARY_PATH: "/app",
      },
    });
    expect([text, result.exitCode]).toEqual(["fine", 0]);
    expect(existsSync(marker)).toBe(false);
  });

  it("reaches nothing outside its network, and no neighbour's port", async () => {
    const { text } = await run([
      "perl",
      "-MSocket",
      "-e",
      'for ("127.0.0.1", "10.0.0.1", "192.0.2.1", "169.254.169.254") { socket(my $s, 2, 1, 0); $! = 0; connect($s, pack_sockaddr_in(22, inet_aton($_))); print $! + 0, "\\n" }',
    ]);
    // Refused by its own loopback; unreachable for the others.
    expect(text.split("\n")).toEqual(["111", "101", "101", "101"]);
  });

  it("reaches no abstract socket of the host", async () => {
    const name = `dynokit-${randomBytes(6).toString("hex")}`;
    const server = createServer().listen(`\0${name}`);
    await once(server, "listening");
    // Node fills the name of such a socket up to its full length.
    const ask = [
      "-MSocket",
      "-e",
      'socket(my $s, AF_UNIX, SOCK_STREAM, 0); $! = 0; connect($s, pack("S a108", AF_UNIX, "\\0$ARGV[0]")); print $! + 0, "\\n"',
      name,
    ];
    const outside = spawnSync("perl", ask, { encoding: "utf8" }).stdout.trim();
    const { text } = await run(["perl", ...ask]);
    await new Promise((done) => server.close(done));
    // Refused, as if nobody had one of that name.
    expect([outside, text]).toEqual(["0", "111"]);
  });

  it.runIf(process.execPath.startsWith("/usr/"))(
    "makes Node take a heap that fits the quota",
    async () => {
      const { text } = await run(
        ["node", "-p", "require('v8').getHeapStatistics().heap_size_limit"],
        { limits: { memoryBytes: 128 * MIB, memoryKillBytes: 512 * MIB } },
      );
      expect(Number(text)).toBeGreaterThan(32 * MIB);
      expect(Number(text)).toBeLessThan(300 * MIB);
    },
  );

  it("holds a fork bomb at the limit, and leaves nothing of it", async () => {
    const word = `bomb-${randomBytes(6).toString("hex")}`;
    const id = await start(
      ["bash", "-c", "echo ready; b() { b | b & }; while :; do b 2>/dev/null; done", word],
      { limits: { pids: 40 } },
    );
    await line(id, "ready");
    const neighbour = await run("echo alive");
    expect(neighbour.text).toBe("alive");
    await driver.stop(id, { timeoutMs: 500 });
    expect((await driver.wait(id)).signal).toBe("SIGKILL");
    expect(processesWith(word)).toBe(0);
    await driver.destroy(id);
  });

  it("reaps trees that ignore SIGTERM, stop themselves, or leave their session", async () => {
    const word = `tree-${randomBytes(6).toString("hex")}`;
    const child = `trap "" TERM HUP INT; while :; do sleep 1000; done`;
    const id = await start([
      "bash",
      "-c",
      `for i in 1 2 3; do setsid sh -c '${child}' $0 & done
         (setsid sh -c 'kill -STOP $$; sleep 1000' $0 &)
         sh -c '(sh -c "exec -a x sleep 1000" $0 &)' $0
         trap "" TERM; echo ready; while :; do sleep 1; done`,
      word,
    ]);
    await line(id, "ready");
    await driver.stop(id, { timeoutMs: 300 });
    expect((await driver.wait(id)).signal).toBe("SIGKILL");
    expect(processesWith(word)).toBe(0);
    await driver.destroy(id);
  });

  it("kills what takes too much memory, says so, and shows the quota to programs that ask", async () => {
    const limits = { memoryBytes: 24 * MIB, memoryKillBytes: 48 * MIB };
    const { result } = await run(["perl", "-e", "my $x = 'x' x 200_000_000; sleep 100"], {
      limits,
    });
    expect(result).toMatchObject({ oomKilled: true, signal: "SIGKILL" });
    const within = await run("cat /sys/fs/cgroup/memory/memory.limit_in_bytes; exit 4", {
      limits,
    });
    expect(within.result).toMatchObject({ oomKilled: false, exitCode: 4 });
    expect(within.text).toBe(String(24 * MIB));
  });

  it("bounds /tmp and /dev/shm", async () => {
    const { text } = await run(
      "for d in /tmp /var/tmp /dev/shm; do head -c 100000000 /dev/zero > $d/x 2>/dev/null; stat -L -c %s $d/x; rm -f $d/x; done",
    );
    for (const size of text.split("\n")) expect(Number(size)).toBeLessThanOrEqual(8 * MIB);
  });

  it("keeps a line of 4 MiB whole in parts, and a flood of binary within its bound", async () => {
    const id = await start("head -c 4194304 /dev/zero | tr '\\0' y; echo; echo end");
    const chunks = await chunksOf(id);
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
    expect(bytes).toBe(4 * MIB + 3);
    expect(chunks.filter(({ partial }) => !partial)).toHaveLength(2);
    await driver.wait(id);
    await driver.destroy(id);
    const flood = await start("head -c 40000000 /dev/urandom; exit 6");
    expect((await driver.wait(flood)).exitCode).toBe(6);
    await driver.destroy(flood);
  });

  it("closed output, zombies and a huge environment harm nobody", async () => {
    const closed = await run("exec >&- 2>&-; sleep 0.1; exit 9");
    expect(closed.result.exitCode).toBe(9);
    const zombies = await run(
      ["perl", "-e", "for (1..300) { if (!fork) { if (!fork) { exit } exit } } exit 3"],
      { limits: { pids: 2_000 } },
    );
    expect(zombies.result.exitCode).toBe(3);
    const env: Record<string, string> = { PATH: "/usr/bin:/bin" };
    for (let index = 0; index < 12; index++) env[`BIG_${index}`] = "x".repeat(120_000);
    const big = await run('printf "%s" "$BIG_11" | wc -c', { env });
    expect(big.text).toBe("120000");
  });

  it("bounds what is kept of a line without an end", { timeout: 300_000 }, async () => {
    // 1 GB with DYNOKIT_SOAK=1.
    const bytes = process.env["DYNOKIT_SOAK"] === "1" ? 1_000_000_000 : 48_000_000;
    const id = await start(`head -c ${bytes} /dev/zero | tr '\\0' y; exit 5`);
    expect((await driver.wait(id)).exitCode).toBe(5);
    const directory = join(kit.stateDirectory, id);
    const kept = readdirSync(directory).map((name) => statSync(join(directory, name)).size);
    expect(kept.reduce((sum, size) => sum + size, 0)).toBeLessThan(10 * MIB);
    await driver.destroy(id);
  });

  it("finds nothing of the host behind links, device nodes and setuid files of a slug", async () => {
    const directory = mkdtempSync(join(tmpdir(), "dynokit-outside-"));
    const code = join(directory, "code");
    mkdirSync(code);
    writeFileSync(join(directory, "secret"), "outside");
    symlinkSync("/etc/shadow", join(code, "shadow"));
    symlinkSync(directory, join(code, "out"));
    symlinkSync("../../../../../../root", join(code, "up"));
    copyFileSync("/usr/bin/id", join(code, "root-id"));
    chmodSync(join(code, "root-id"), 0o6755);
    // Only root can make one.
    spawnSync("mknod", [join(code, "disk"), "b", "254", "0"]);
    const path = join(directory, "slug.tgz");
    execFileSync("tar", ["-czf", path, "-C", code, "."]);
    const digest = createHash("sha256").update(readFileSync(path)).digest("hex");
    const { text } = await run(
      "for f in shadow out/secret up/.profile disk; do cat $f >/dev/null 2>&1 && echo found $f; done; ./root-id -u; find . -type b; cat /proc/self/mountinfo | grep ' /app ' | cut -d' ' -f6",
      { slug: { id: "s", path, checksum: `SHA256:${digest}` } },
    );
    rmSync(directory, { recursive: true });
    const [found, options, ...more] = text.split("\n");
    expect(found).toMatch(user);
    expect(options?.split(",")).toEqual(expect.arrayContaining(["nosuid", "nodev"]));
    expect(more).toEqual([]);
  });

  it("finds nothing of the host behind a link in the code", async () => {
    const directory = mkdtempSync(join(tmpdir(), "dynokit-outside-"));
    writeFileSync(join(directory, "secret"), "outside");
    const { text } = await run(
      `ln -s ${directory} d; cat d/secret; ln -s /proc/1/root r; ls r/app`,
    );
    rmSync(directory, { recursive: true });
    expect(text).not.toContain("outside");
  });
});
