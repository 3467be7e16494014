/**
 * Kills a program that holds dynos with a network and a disk of their own, and prints what its
 * successor finds and what is left, as JSON. To be started by `unshare --net`, as egress-program.ts
 * is; with `hold` as the only argument it is the program that is killed.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DriverHandle, type DynoDriver, Manifold } from "@dynokit/manifold";
import { sandboxDriver } from "../../src/index.ts";
import { sandboxKit } from "./kit.ts";

const options = { egress: "open", nameservers: [], diskBytes: 16_777_216 } as const;
const COMMAND = [
  "perl",
  "-MSocket",
  "-e",
  'socket(my $s, 2, 1, 0); bind($s, pack_sockaddr_in($ENV{PORT}, INADDR_ANY)) or die; listen($s, 5); $| = 1; print "up\\n"; (fork || exec "setsid", "sleep", "1000"); sleep 1000',
];

/** Starts dynos, says their handles, and begins more starts: the kill comes in the middle of them. */
async function hold(stateDirectory: string): Promise<void> {
  const driver = sandboxDriver({ stateDirectory, ...options });
  const start = (id: string) =>
    driver.start({
      id,
      command: COMMAND,
      env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
      labels: { app: "a", dyno: "web.1", type: "web", release: "r", releaseVersion: "1" },
      port: true,
    });
  const handles = [await start("one"), await start("two")];
  for (const { id } of handles) await driver.ready?.(id);
  for (let index = 0; index < 20; index++) void start(`late${index}`).catch(() => undefined);
  process.stdout.write(`${JSON.stringify(handles)}\n`);
}

const read = (path: string) => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
};
const run = (file: string, ...parameters: string[]) =>
  execFileSync(file, parameters, { encoding: "utf8" });

/** Everything that a dyno can leave on a host, as words that tell what it is. */
function leftovers(stateDirectory: string): string[] {
  const lines = (text: string, word: RegExp) => text.split("\n").filter((line) => word.test(line));
  const groups = lines(read("/proc/self/mountinfo"), / cgroup2? /).flatMap((row) => {
    const root = row.split(" ")[4] ?? "";
    try {
      return readdirSync(join(root, "dynokit")).filter((name) => /^(one|two|late\d+)/.test(name));
    } catch {
      return [];
    }
  });
  const processes = readdirSync("/proc").filter(
    (pid) =>
      /^\d+$/.test(pid) &&
      Number(pid) !== process.pid &&
      (read(`/proc/${pid}/cmdline`).includes(stateDirectory) ||
        read(`/proc/${pid}/mountinfo`).includes(stateDirectory)),
  );
  return [
    ...lines(run("ip", "-o", "link"), /: dk/).map((line) => `link ${line}`),
    ...lines(run("ip", "route"), / dev dk/).map((line) => `route ${line}`),
    ...lines(run("nft", "list", "tables"), /dynokit_/),
    ...lines(run("losetup", "-n", "-O", "NAME,BACK-FILE"), new RegExp(stateDirectory)),
    ...lines(read("/proc/self/mountinfo"), new RegExp(stateDirectory)),
    ...groups.map((name) => `group ${name}`),
    ...processes.map((pid) => `process ${pid} ${read(`/proc/${pid}/cmdline`)}`),
    ...readdirSync(stateDirectory)
      .filter((name) => !name.startsWith("."))
      .map((name) => `directory ${name}`),
    ...readdirSync(join(stateDirectory, ".net")).map((name) => `socket ${name}`),
  ];
}

async function untilNothing(stateDirectory: string): Promise<string[]> {
  // The kernel takes namespaces, and what is in them, away in its own time.
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    if (leftovers(stateDirectory).length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return leftovers(stateDirectory);
}

async function execute(driver: DynoDriver, id: string, command: string): Promise<string> {
  const session = await driver.exec?.(id, ["sh", "-c", command]);
  let text = "";
  for await (const { bytes } of session?.output ?? []) text += Buffer.from(bytes).toString();
  return text.trim();
}

async function crash(): Promise<void> {
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
  run("ip", "link", "set", "lo", "up");
  const kit = sandboxKit(options);
  const child = spawn(
    process.execPath,
    [...process.execArgv, fileURLToPath(import.meta.url), "hold", kit.stateDirectory],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let said = "";
  while (!said.includes("\n")) said += String((await once(child.stdout, "data"))[0]);
  child.kill("SIGKILL");
  await once(child, "exit");
  const handles = JSON.parse(said) as DriverHandle[];
  const links = run("ip", "-o", "link").match(/: dk/g)?.length ?? 0;

  const driver = kit.make();
  const found: string[] = [];
  const inside: string[] = [];
  for (const handle of handles) {
    found.push((await driver.recover(handle)).state);
    await driver.ready?.(handle.id);
    // Its link, its way out and its disk are those it had.
    inside.push(
      await execute(
        driver,
        handle.id,
        "ip -o route | grep -c default; head -c 40000000 /dev/zero 2>&1 > f | grep -o 'No space left'",
      ),
    );
  }
  // A manifold that wants none of them ends them all, those half started too.
  const manifold = new Manifold({ driver });
  await manifold.apply({ app: "a", release: { id: "r", version: 1 }, env: {}, processes: {} });
  for (const end = Date.now() + 40_000; Date.now() < end; ) {
    if ((await driver.list()).length + ((await driver.listEnded?.()) ?? []).length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await manifold.close();
  // A start that was cut short before there was a process: its directory goes once nothing can come of it.
  for (const name of readdirSync(kit.stateDirectory))
    if (name.startsWith("late")) utimesSync(join(kit.stateDirectory, name), 0, 0);
  const last = kit.make();
  await last.list();
  await last.close();
  const left = await untilNothing(kit.stateDirectory);
  kit.remove();
  process.stdout.write(JSON.stringify({ links: links >= 2, found, inside, left }));
}

if (process.argv[2] === "hold") await hold(process.argv[3] as string);
else {
  if (readlinkSync("/proc/self/ns/net") === readlinkSync(`/proc/${process.ppid}/ns/net`))
    throw new Error("This program changes the network; start it by unshare --net");
  await crash();
}
