import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DriverError } from "@dynokit/manifold";
import { configOf } from "./bundle.ts";
import type { Home } from "./home.ts";
import type { Host } from "./host.ts";
import type { Settings } from "./options.ts";

/**
 * Runs a container as a dyno gets it, with a program that does nothing; throws `unavailable` with
 * the runtime's reason. Versions tell little: crun, for one, refuses hosts by their control groups.
 */
export function tryRuntime(settings: Settings, host: Host, home: Home, grouped: boolean): void {
  const refused = (reason: string) =>
    new DriverError(
      "unavailable",
      `The runtime "${settings.runtime}" can't make a container here: ${reason}. Leave "runtime" out to use bubblewrap`,
      { retryable: false },
    );
  if (!grouped) throw refused("there are no writable control groups");
  const bundle = mkdtempSync(join(tmpdir(), "dynokit-bundle-"));
  const name = `dynokit-try-${process.pid}`;
  try {
    const rootfs = join(bundle, "rootfs");
    for (const path of ["app", "tmp"]) mkdirSync(join(rootfs, path), { recursive: true });
    for (const { path, target } of host.system.links) symlinkSync(target, join(rootfs, path));
    chmodSync(bundle, 0o711);
    const labels = { app: "", dyno: "try", type: "", release: "", releaseVersion: "" };
    const place = { directory: rootfs, memoryDisk: 65_536, paths: undefined, socket: undefined };
    const limits = { memoryKillBytes: 256 * 1_048_576, pids: 64, cpus: 1 };
    const own: Readonly<Record<string, unknown>> = {
      UID: settings.users?.from,
      FILES: 1024,
      OOM: 1000,
      OWNER: "mode=755",
      GROUP: `dynokit/${name}`,
      ARGS: host.perl,
      NETWORK: "/proc/self/ns/net",
    };
    const text = JSON.stringify(configOf({ labels, limits }, place, host, home, settings))
      .replaceAll(/"@([A-Z]+)@"/g, (_, key: string) => JSON.stringify(own[key]))
      .replace(/,"swap":\d+/, "");
    writeFileSync(join(bundle, "config.json"), text);
    const tried = spawnSync(
      host.runtime,
      ["--root", join(bundle, "state"), "run", "--bundle", bundle, name],
      { input: "exit 0", encoding: "utf8" },
    );
    if (tried.status === 0) return;
    const message = tried.error?.message ?? tried.stderr.trim().split("\n").at(-1) ?? "";
    throw refused(message || `it ended with status ${tried.status}`);
  } finally {
    rmSync(bundle, { recursive: true, force: true });
  }
}
