import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";

const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/);

/** Why a suite is skipped, or undefined; a required component that is missing fails instead. */
export function missingProgram(component: string, command: string): string | undefined {
  for (const flag of ["--version", "-v"])
    try {
      execFileSync(command, [flag], { stdio: "ignore" });
      return undefined;
    } catch {
      // Not every program knows the first.
    }
  if (required.includes(component)) throw new Error(`${component} is required; install it.`);
  return `${component} is not installed`;
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Runs rsyslog with all that it keeps in a directory. */
export function spawnRsyslog(directory: string, config: string): ChildProcess {
  const file = join(directory, "rsyslog.conf");
  writeFileSync(file, config);
  return spawn("rsyslogd", ["-n", "-f", file, "-i", join(directory, "pid")], { stdio: "ignore" });
}

/** The port that an `imtcp` with `listenPortFileName` found, or undefined as long as it has none. */
export function rsyslogPort(directory: string): number | undefined {
  const file = join(directory, "port");
  return existsSync(file) ? Number(readFileSync(file, "utf8")) || undefined : undefined;
}

/** Runs syslog-ng likewise; the line of the version is put in front of the configuration. */
export function spawnSyslogNg(directory: string, config: string): ChildProcess {
  const about = execFileSync("syslog-ng", ["--version"]).toString();
  const version = /Config version: (\S+)/.exec(about)?.[1];
  const file = join(directory, "syslog-ng.conf");
  writeFileSync(file, `@version: ${version ?? "3.38"}\n${config}`);
  return spawn(
    "syslog-ng",
    [
      ...["-F", "--no-caps", "-f", file],
      ...["--persist-file", join(directory, "persist"), "--pidfile", join(directory, "pid")],
      ...["--control", join(directory, "control")],
    ],
    { stdio: "ignore" },
  );
}
