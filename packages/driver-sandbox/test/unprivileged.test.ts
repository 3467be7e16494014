import { spawn } from "node:child_process";
import { chownSync, rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { missing, titled } from "./support/requirement.ts";

const UID = 391_234;
const program = fileURLToPath(new URL("support/kit-program.ts", import.meta.url));
const disks = fileURLToPath(new URL("support/disk-program.ts", import.meta.url));

interface Row {
  readonly name: string;
  readonly outcome: string;
  readonly error?: string;
}

async function runAs<T>(uid: number, path: string, only: readonly string[] = []): Promise<T> {
  const home = await mkdtemp(join(tmpdir(), "dynokit-user-"));
  chownSync(home, uid, uid);
  try {
    const child = spawn(
      "setpriv",
      [
        ...["--reuid", String(uid), "--regid", String(uid), "--clear-groups", "--"],
        process.execPath,
        ...["--conditions=@dynokit/source", "--import", "tsx", path],
      ],
      {
        env: { PATH: process.env["PATH"], HOME: home, TMPDIR: home, KIT_ONLY: only.join(",") },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let output = "";
    let complaints = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    child.stderr.on("data", (chunk) => {
      complaints += chunk;
    });
    await new Promise((done) => child.once("close", done));
    if (output === "") throw new Error(complaints);
    return JSON.parse(output) as T;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

const root = process.getuid?.() === 0;
const reason = missing ?? (root ? undefined : "this run has no root to become another user");

// All of it takes two minutes on a busy machine: DYNOKIT_SOAK=1.
const ONLY =
  process.env["DYNOKIT_SOAK"] === "1"
    ? []
    : [
        ...["start.env", "start.cwd", "start.argv", "start.missing", "wait.", "stop.whole"],
        ...["stop.double", "stop.graceful", "signal.", "stats.tree", "exec.", "recover.running"],
        ...["limits.", "net.", "fs.", "secrets."],
      ];

describe.skipIf(reason !== undefined)(
  reason === undefined ? "without root" : titled(`without root (skipped: ${reason})`),
  () => {
    it("passes the conformance kit as an ordinary user", { timeout: 300_000 }, async () => {
      const rows = await runAs<readonly Row[]>(UID, program, ONLY);
      expect(rows.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
      expect(rows.length).toBeGreaterThan(25);
    });

    it("bounds the disk of a dyno, in memory, and says what it can't do", async () => {
      const { lines, exitCode, disk, egress } = await runAs<{
        readonly lines: readonly string[];
        readonly exitCode: number;
        readonly disk: boolean;
        readonly egress: string;
      }>(UID, disks);
      expect([disk, exitCode]).toEqual([true, 3]);
      expect(lines.slice(0, 2)).toEqual(["from the slug", "changed"]);
      expect(lines.join("\n")).toContain("No space left on device");
      const size = Number(lines.find((line) => /^\d{4,}$/.test(line) && line !== "1000"));
      expect(size).toBeGreaterThan(2_000_000);
      expect(size).toBeLessThanOrEqual(4_194_304);
      // What was complained about is on another stream, and may come in between.
      expect(lines.filter((line) => line === "1000")).toHaveLength(2);
      expect(egress).toMatch(/that needs root\. Use egress "none"/);
    });
  },
);
