import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { type GroupProbe, probeGroups } from "../../../shim/containment.mjs";
import { findSetpriv } from "../../../shim/launch.mjs";
import { defineCapabilities } from "../../driver/capabilities.ts";
import type { DriverCapabilities } from "../../driver/contract.ts";
import type { ParsedOptions } from "./options.ts";

/** What this machine lets the driver do; found by trying (spec/drivers.md §2). */
export interface HostAbilities {
  readonly groups: GroupProbe;
  /** A dyno can't leave its groups. */
  readonly grouped: boolean;
  /** The init helper works: it adopts what leaves its session, and makes terminals. */
  readonly init: boolean;
  readonly shell: string;
  /** Program that ends a dyno with its supervisor; empty: none. */
  readonly setpriv: string;
}

export function probeHost(options: ParsedOptions): HostAbilities {
  const groups: GroupProbe = options.controlGroups ? probeGroups() : { v1: {} };
  const grouped = Boolean(groups.v2 ?? groups.v1.freezer ?? groups.v1.pids);
  const shell = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"].find((path) =>
    existsSync(path),
  );
  return {
    groups,
    grouped,
    init:
      process.platform === "linux" &&
      existsSync("/dev/ptmx") &&
      spawnSync("perl", ["-MPOSIX", "-e", "exit 0"], { stdio: "ignore" }).status === 0,
    shell: shell ?? "/bin/sh",
    setpriv: findSetpriv(),
  };
}

/** Declares exactly what was found. */
export function capabilitiesOf(host: HostAbilities, options: ParsedOptions): DriverCapabilities {
  const { groups } = host;
  const limit = (name: "memory" | "pids" | "cpu") =>
    groups.v1[name] !== undefined || (groups.v2?.limits.includes(name) ?? false);
  return defineCapabilities({
    signal: true,
    exec: true,
    attach: true,
    tty: host.init,
    logs: true,
    logOverflow: options.logs.overflow,
    stats: process.platform === "linux",
    events: true,
    recover: "running-and-results",
    containment: host.grouped ? "complete" : host.init ? "subreaper" : "group",
    limits: {
      memory: limit("memory") ? "hard" : process.platform === "linux" ? "sampled" : "none",
      pids: limit("pids") ? "hard" : "none",
      cpu: limit("cpu"),
    },
    isolation: { env: options.users !== undefined },
    missingBinary: "error",
  });
}
