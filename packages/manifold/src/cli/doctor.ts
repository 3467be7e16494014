import type { DriverCapabilities, DynoDriver } from "../driver/contract.ts";

/** One thing that a driver can or can't do here, and what is lost without it. */
export interface Finding {
  readonly key: string;
  readonly value: string;
  readonly lost?: string;
}

/** What is lost when a capability has this value (spec/drivers.md §11). */
const losses: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  signal: { false: "dynos get the stop signal and no other" },
  exec: { false: "no commands inside a running dyno" },
  attach: { false: "one-off dynos run detached only" },
  tty: { false: "no terminals: attached commands see a pipe" },
  logs: { false: "no output of dynos" },
  stats: { false: "no R14 and R15 by measurement, no runtime metrics" },
  events: { false: "what the engine has to tell stays unknown" },
  recover: {
    none: "dynos end, or are lost, with the program",
    running: "the result of a dyno that ends while nobody watches is lost",
  },
  containment: {
    subreaper: "a process that hides from its parent's list may survive for a moment",
    group: "a process that leaves its group survives its dyno",
    none: "children of a dyno survive it",
  },
  "limits.memory": {
    sampled: "memory is watched and not limited: a fast growth reaches the machine",
    none: "memory is not limited",
  },
  "limits.pids": {
    uid: "processes are counted per user",
    none: "a fork bomb fills the machine",
  },
  "limits.cpu": { false: "a busy dyno slows the others" },
  "limits.disk": { false: "a dyno can fill the disk" },
  "isolation.env": { false: "dynos can read each other's environment" },
  "isolation.filesystem": { false: "dynos see the files of the machine" },
  "isolation.network": { false: "dynos share the ports of the machine and reach each other" },
  "isolation.processes": { false: "dynos see each other's processes" },
};

/** The capabilities, one a row. */
export function capabilityFindings(capabilities: DriverCapabilities): Finding[] {
  const findings: Finding[] = [];
  const add = (key: string, value: unknown) => {
    const lost = losses[key]?.[String(value)];
    findings.push({ key, value: String(value), ...(lost !== undefined && { lost }) });
  };
  for (const [key, value] of Object.entries(capabilities)) {
    if (typeof value === "object")
      for (const [name, inner] of Object.entries(value)) add(`${key}.${name}`, inner);
    else add(key, value);
  }
  return findings;
}

/** The first fingerprint of a driver, one key a row; nothing when it has none. */
export async function fingerprintFindings(driver: DynoDriver): Promise<Finding[]> {
  const abort = new AbortController();
  try {
    for await (const found of driver.fingerprint?.(abort.signal) ?? []) {
      return Object.entries(found).map(([key, value]) => ({
        key,
        value: Array.isArray(value) ? value.join(" ") || "none" : String(value),
      }));
    }
    return [];
  } finally {
    abort.abort();
  }
}

/** Findings as a table for a terminal. */
export function formatFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ key }) => key.length));
  const values = Math.max(...findings.map(({ value }) => Math.min(value.length, 24)));
  return findings
    .map(({ key, value, lost = "" }) =>
      `${key.padEnd(width)}  ${value.padEnd(values)}  ${lost}`.trimEnd(),
    )
    .join("\n");
}
