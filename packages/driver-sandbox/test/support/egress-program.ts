/**
 * Runs dynos with a way out and prints what they reached, as JSON. To be started in a network
 * namespace of its own (`unshare --net`): that is "the host" then, and another one "the internet".
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { DynoDriver } from "@dynokit/manifold";
import type { SandboxDriverOptions } from "../../src/index.ts";
import { sandboxKit } from "./kit.ts";

const labels = { app: "a", dyno: "web.1", type: "web", release: "r", releaseVersion: "1" };
const env = { PATH: "/usr/local/bin:/usr/bin:/bin" };
const ip = (...parameters: string[]) => execFileSync("ip", parameters, { encoding: "utf8" });

/** Says for each ADDRESS:PORT whether a connection comes about, else the number of the error. */
const TRY = `
use Socket qw(:all); $| = 1;
for (@ARGV) {
  my ($host, $port) = /^\\[?(.*?)\\]?:(\\d+)$/; my $said = "silent"; local $SIG{ALRM} = sub { die };
  my $to = $host =~ /:/ ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $host)) : pack_sockaddr_in($port, inet_aton($host));
  eval { alarm 5; socket(my $s, $host =~ /:/ ? AF_INET6 : AF_INET, SOCK_STREAM, 0); $! = 0;
    $said = connect($s, $to) ? "ok" : $! + 0; alarm 0; };
  print "$_ $said\\n";
}`;

const LISTEN = `
use Socket qw(:all); $| = 1; my @all;
for my $port (@ARGV) {
  socket(my $s, AF_INET6, SOCK_STREAM, 0); setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
  bind($s, pack_sockaddr_in6($port, "\\0" x 16)) or die "$!"; listen($s, 50); push @all, $s;
}
print "listening\\n"; sleep 1000;`;

async function listener(argv: readonly string[]): Promise<ChildProcess> {
  const [file = "", ...parameters] = argv;
  const child = spawn(file, parameters, { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child;
}

/** A router of the internet: public, private and metadata addresses are all behind it. */
async function internet(): Promise<ChildProcess> {
  const child = await listener(["unshare", "--net", "perl", "-e", LISTEN, "80", "81", "53"]);
  const inside = (...parameters: string[]) =>
    execFileSync("nsenter", [`--net=/proc/${child.pid}/ns/net`, "ip", ...parameters]);
  ip("link", "add", "up0", "type", "veth", "peer", "name", "up1", "netns", String(child.pid));
  ip("link", "set", "up0", "up");
  ip("addr", "add", "203.0.113.254/24", "dev", "up0");
  ip("addr", "add", "2600:1::fe/64", "dev", "up0", "nodad");
  inside("link", "set", "up1", "up");
  for (const address of ["203.0.113.1/24", "203.0.113.2/24", "169.254.169.254/32", "10.9.9.9/32"])
    inside("addr", "add", address, "dev", "up1");
  for (const address of ["2600:1::1/64", "fd00:ec2::254/128", "fd00::9/128", "2002:a00::1/128"])
    inside("addr", "add", address, "dev", "up1", "nodad");
  for (const address of ["fd00::/16", "2002::/16"]) ip("route", "add", address, "via", "2600:1::1");
  ip("route", "add", "169.254.169.254/32", "via", "203.0.113.1");
  ip("route", "add", "10.9.9.9/32", "via", "203.0.113.1");
  return child;
}

async function output(driver: DynoDriver, id: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const { bytes } of driver.logs?.(id) ?? []) lines.push(Buffer.from(bytes).toString());
  return lines;
}

async function reach(options: SandboxDriverOptions, targets: readonly string[]) {
  const kit = sandboxKit(options);
  const driver = kit.make();
  try {
    await driver.start({ id: "one", command: ["perl", "-e", TRY, ...targets], env, labels });
    const lines = await output(driver, "one");
    await driver.destroy("one", { force: true });
    return Object.fromEntries(lines.map((line) => line.split(" ")));
  } finally {
    await driver.close();
    kit.remove();
  }
}

const interfaces = () => ip("-o", "link").match(/\bdk\w+/g) ?? [];
/** The kernel takes a namespace and its link away in its own time after the last process. */
async function linksAtMost(count: number): Promise<void> {
  for (const end = Date.now() + 20_000; interfaces().length > count && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 10));
}
const tables = () =>
  execFileSync("nft", ["list", "tables"], { encoding: "utf8" }).match(/dynokit_\w+/g) ?? [];

/** Two dynos that listen on the same port, one that tries theirs, and a driver that comes after. */
async function neighbours() {
  const kit = sandboxKit({ egress: "open", nameservers: [] });
  const first = kit.make();
  const command = ["perl", "-e", LISTEN, "5000"];
  const handles = [];
  for (const id of ["a", "b"]) {
    handles.push(await first.start({ id, command, env, labels, port: true }));
    await first.ready?.(id);
  }
  const addresses = [...ip("route").matchAll(/^(10\.201\.\S+) dev dk/gm)].map(([, one]) => one);
  const six = [...ip("-6", "route").matchAll(/^(fd64:\S+) dev dk/gm)].map(([, one]) => one);
  const targets = [
    ...addresses.map((address) => `${address}:5000`),
    ...six.map((address) => `[${address}]:5000`),
  ];
  await first.start({ id: "c", command: ["perl", "-e", TRY, ...targets], env, labels });
  const refused = await output(first, "c");
  await first.destroy("c", { force: true });
  await linksAtMost(2);
  const links = interfaces().length;
  await first.close();
  const kept = tables().length;
  // A firewall that is loaded anew takes all rules away.
  execFileSync("nft", ["flush", "ruleset"]);
  const second = kit.make();
  const found = [];
  for (const handle of handles) found.push((await second.recover(handle)).state);
  const back = tables().length;
  for (const { id } of handles) await second.destroy(id, { force: true });
  await linksAtMost(0);
  await second.close();
  kit.remove();
  return {
    sockets: new Set(handles.map(({ address }) => JSON.stringify(address))).size,
    addresses: new Set([...addresses, ...six]).size,
    refused: refused.map((line) => line.split(" ").at(-1)),
    links,
    kept,
    found,
    back,
    linksLeft: interfaces().length,
    tablesLeft: tables().length,
  };
}

/** What is said to an operator who lists IPv6 on a host that does not forward it. */
function withoutForwarding(): string {
  writeFileSync("/proc/sys/net/ipv6/conf/all/forwarding", "0");
  const kit = sandboxKit({ egress: "allow-list", allow: ["[2600:1::1]:80"] });
  try {
    kit.make();
    return "";
  } catch (error) {
    return (error as Error).message;
  } finally {
    kit.remove();
  }
}

if (readlinkSync("/proc/self/ns/net") === readlinkSync(`/proc/${process.ppid}/ns/net`))
  throw new Error("This program changes the network; start it by unshare --net");
writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
writeFileSync("/proc/sys/net/ipv6/conf/all/forwarding", "1");
ip("link", "set", "lo", "up");
const outside = await internet();
const control = createServer().listen(7001, "::");
try {
  const everything = [
    ...["203.0.113.1:80", "203.0.113.1:81", "203.0.113.2:80"],
    ...["169.254.169.254:80", "10.9.9.9:80", "10.9.9.9:53", "203.0.113.254:7001", "127.0.0.1:7001"],
    ...["[2600:1::1]:80", "[2600:1::1]:81", "[fd00:ec2::254]:80", "[fd00::9]:80", "[fd00::9]:53"],
    ...["[2002:a00::1]:80", "[2600:1::fe]:7001", "[::1]:7001"],
  ];
  const result = {
    open: await reach({ egress: "open", nameservers: [] }, everything),
    exceptions: await reach(
      {
        egress: "open",
        nameservers: ["10.9.9.9", "fd00::9"],
        allow: ["203.0.113.254:7001", "[2600:1::fe]:7001"],
      },
      everything,
    ),
    listed: await reach(
      { egress: "allow-list", allow: ["203.0.113.0/31:80-80", "[2600:1::/64]:80"] },
      everything,
    ),
    ...(process.argv.includes("runc")
      ? { runc: await reach({ egress: "open", nameservers: [], runtime: "runc" }, everything) }
      : {}),
    neighbours: await neighbours(),
    withoutForwarding: withoutForwarding(),
  };
  process.stdout.write(JSON.stringify(result));
} finally {
  control.close();
  outside.kill("SIGKILL");
}
