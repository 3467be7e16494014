import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cluster, Redis } from "ioredis";
import { describe } from "vitest";
import type { IoRedisClient } from "../../src/index.ts";
import { freePort } from "./programs.ts";

const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("redis");

function installed(): boolean {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** `describe` where the program redis-server is there, else skipped with the reason in the name. */
export function describeCluster(name: string, body: () => void): void {
  if (installed()) describe(name, body);
  else if (required) throw new Error("DYNOKIT_REQUIRE names redis: install redis-server.");
  else describe.skip(`${name} (redis: redis-server is not installed)`, body);
}

/** A cluster of so many primaries on this machine, without replicas and without a disk. */
export async function startCluster(size: number) {
  const directory = mkdtempSync(join(tmpdir(), "dynokit-cluster-"));
  const nodes: { child: ChildProcess; port: number; bus: number; client: Redis }[] = [];
  for (let index = 0; index < size; index++) {
    const [port, bus] = [await freePort(), await freePort()];
    const child = spawn(
      "redis-server",
      [
        ...["--port", `${port}`, "--cluster-port", `${bus}`, "--bind", "127.0.0.1", "--save", ""],
        ...["--cluster-enabled", "yes", "--cluster-config-file", `nodes-${index}.conf`],
        ...["--dir", directory, "--cluster-node-timeout", "15000"],
      ],
      { stdio: "ignore" },
    );
    // The client connects again by itself until the server listens.
    const client = new Redis(port, "127.0.0.1", {
      maxRetriesPerRequest: null,
      retryStrategy: () => 20,
    });
    client.on("error", () => undefined);
    nodes.push({ child, port, bus, client });
  }
  const share = Math.ceil(16_384 / size);
  for (const [index, { client }] of nodes.entries()) {
    const last = Math.min(16_383, (index + 1) * share - 1);
    await client.call("CLUSTER", "ADDSLOTSRANGE", String(index * share), String(last));
    const [first] = nodes;
    if (index > 0)
      await client.call("CLUSTER", "MEET", "127.0.0.1", `${first!.port}`, `${first!.bus}`);
  }
  for (const { client } of nodes) {
    for (;;) {
      const text = String(await client.call("CLUSTER", "INFO"));
      if (text.includes("cluster_state:ok") && text.includes(`cluster_known_nodes:${size}`)) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const places = nodes.map(({ port }) => ({ host: "127.0.0.1", port }));
  return {
    client: new Cluster(places) as unknown as Cluster & IoRedisClient,
    /** How many keys each node has. */
    sizes: () => Promise.all(nodes.map(({ client }) => client.dbsize())),
    async close(): Promise<void> {
      for (const { child, client } of nodes) {
        client.disconnect();
        child.kill("SIGKILL");
        if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
