// What /proc says about processes. Where there is no /proc (macOS), `ps` answers the few questions that must be.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** All fields that are used, of one process; undefined when it is gone. */
export function readStat(pid) {
  let text;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return process.platform === "linux" ? undefined : statFromPs(pid);
  }
  // The name is in parentheses and may itself contain some, and spaces.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    state: fields[0],
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    cpuTicks: Number(fields[11]) + Number(fields[12]),
    startTime: fields[19],
  };
}

function statFromPs(pid) {
  try {
    const text = execFileSync("ps", ["-o", "stat=,ppid=,pgid=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
    const [state, parent, group, ...start] = text.split(/\s+/);
    return {
      pid,
      state: state[0],
      parent: Number(parent),
      group: Number(group),
      session: 0,
      cpuTicks: 0,
      startTime: start.join(" "),
    };
  } catch {
    return undefined;
  }
}

/** Every process of the machine that can be seen. */
export function allStats() {
  let names;
  try {
    names = readdirSync("/proc");
  } catch {
    return [];
  }
  const stats = [];
  for (const name of names) {
    if (name < "1" || name > "9~") continue;
    const stat = readStat(Number(name));
    if (stat) stats.push(stat);
  }
  return stats;
}

/** A number is reused, a number with its start time is not. A zombie is not alive. */
export function isAlive(pid, startTime) {
  const stat = pid > 0 ? readStat(pid) : undefined;
  return stat !== undefined && stat.state !== "Z" && stat.startTime === startTime;
}

/** Changes with every boot, so that an old record never meets a new process. */
export function bootId() {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    try {
      return execFileSync("sysctl", ["-n", "kern.boottime"], { encoding: "utf8" }).trim();
    } catch {
      return "unknown";
    }
  }
}

/** Listening TCP sockets of the network namespace of `pid`. */
export function listeningSockets(pid) {
  const sockets = [];
  for (const file of ["tcp", "tcp6"]) {
    let text;
    try {
      text = readFileSync(`/proc/${pid}/net/${file}`, "latin1");
    } catch {
      continue;
    }
    for (const line of text.split("\n").slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (fields[3] !== "0A") continue;
      const [address, port] = fields[1].split(":");
      sockets.push({
        host: file === "tcp" ? toIpv4(address) : toIpv6(address),
        port: Number.parseInt(port, 16),
        inode: fields[9],
      });
    }
  }
  return sockets;
}

function toIpv4(hex) {
  const bytes = hex.match(/../g).map((byte) => Number.parseInt(byte, 16));
  return bytes.reverse().join(".");
}

function toIpv6(hex) {
  const words = hex.match(/.{8}/g).map((word) => word.match(/../g).reverse().join(""));
  const full = words.join("");
  if (/^0{32}$/.test(full)) return "::";
  if (/^0{31}1$/.test(full)) return "::1";
  return full.match(/.{4}/g).join(":");
}

/** Inodes of the sockets that one process holds; empty when it may not be looked at. */
export function socketInodes(pid) {
  const inodes = new Set();
  let names;
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return inodes;
  }
  for (const name of names) {
    try {
      const match = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`));
      if (match) inodes.add(match[1]);
    } catch {
      // Closed meanwhile.
    }
  }
  return inodes;
}

/** Resident memory of one process in bytes, shared pages counted in proportion where the kernel tells. */
export function residentBytes(pid) {
  try {
    const pages = readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1];
    return Number(pages) * 4096;
  } catch {
    return 0;
  }
}
