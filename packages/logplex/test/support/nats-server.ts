import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./programs.ts";

/**
 * A server of a test's own, with a place on disk that outlives its process. It listens when this
 * settles; a member of a cluster then still has to find the others.
 */
export async function startNatsServer(...args: string[]) {
  const [port, directory] = [await freePort(), await mkdtemp(join(tmpdir(), "dynokit-nats-"))];
  let child: ChildProcess | undefined;
  const kill = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    running.kill("SIGKILL");
    await once(running, "exit");
  };
  const start = async (): Promise<void> => {
    child = spawn(
      "nats-server",
      ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", directory, ...args],
      {
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    // What it says must be read on, or it blocks.
    await new Promise<void>((resolve, reject) => {
      let said = "";
      child!.stderr!.on("data", (data: Buffer) => {
        said += data.toString();
        if (/Server is ready|Listening for client connections/.test(said)) resolve();
      });
      child!.once("exit", () => reject(new Error(`nats-server ended: ${said}`)));
      child!.once("error", reject);
    });
  };
  await start();
  return {
    url: `nats://127.0.0.1:${port}`,
    kill,
    start,
    /** What it kept is gone. */
    forget: () => rm(directory, { recursive: true, force: true }),
    async dispose(): Promise<void> {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Servers that keep copies of each other's streams. */
export async function startNatsCluster(size: number) {
  const ports: number[] = [];
  for (let index = 0; index < size; index += 1) ports.push(await freePort());
  const routes = ports.map((port) => `nats://127.0.0.1:${port}`);
  const servers = await Promise.all(
    routes.map((route, index) =>
      startNatsServer(
        ...["-n", `n${index}`, "--cluster_name", "dynokit", "--cluster", route],
        ...["--routes", routes.join()],
      ),
    ),
  );
  return {
    url: servers.map(({ url }) => url).join(),
    /** Ends the server of a name, `n0` and so on. */
    kill: (name: string) => servers[Number(name.slice(1))]!.kill(),
    async dispose(): Promise<void> {
      for (const server of servers) await server.dispose();
    },
  };
}
