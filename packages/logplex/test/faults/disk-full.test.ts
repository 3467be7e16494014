import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { diskBuffer, Logplex, LogplexError } from "../../src/index.ts";
import { frames, post } from "../support/http.ts";

let directory: string;
const open: Logplex[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "logplex-full-"));
});
afterEach(async () => {
  for (const logplex of open.splice(0)) await logplex.close({ timeoutMs: 0 });
  rmSync(directory, { recursive: true, force: true });
});
function start(): Logplex {
  const logplex = new Logplex({ buffer: diskBuffer(directory) });
  open.push(logplex);
  return logplex;
}
const seen = (logplex: Logplex) =>
  logplex
    .channel("a")
    .history({ limit: 1000 })
    .map(({ seq, body }) => `${seq} ${Buffer.from(body)}`);

describe.skipIf(!existsSync("/dev/full"))("a disk without room (needs /dev/full)", () => {
  /** From now on every octet of the channel's first segment meets ENOSPC. */
  function fill(): string {
    const logplex = start();
    logplex.channel("a");
    const folder = join(directory, "channels", "a");
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${"1".padStart(16, "0")}.log`);
    symlinkSync("/dev/full", path);
    return path;
  }

  it("fails writes, keeps serving from memory, and goes on when there is room", async () => {
    const path = fill();
    const [logplex] = open as [Logplex];
    const error = await Promise.resolve(logplex.channel("a").write("one")).catch(
      (caught: unknown) => caught,
    );
    expect(LogplexError.is(error) && error.code).toBe("storage-failed");
    expect(seen(logplex)).toEqual(["1 one"]);
    expect(logplex.metrics()).toMatch(/logrouter_spool_failed_writes_total [1-9]/);
    unlinkSync(path);
    await logplex.channel("a").write("two");
    expect(seen(logplex)).toEqual(["1 one", "2 two"]);
    await logplex.close();
    const next = start();
    expect(seen(next)).toEqual(["2 two"]);
    expect(next.channel("a").read(1, 10)).toMatchObject({ trimmed: 1 });
  });

  it("is told to senders over HTTP, whose repeat is then taken", async () => {
    const path = fill();
    const [logplex] = open as [Logplex];
    const { http } = await logplex.listen({ http: { port: 0 } });
    const token = logplex.createToken("a", "app");
    const call = () =>
      post(http!, "/logs", frames("<190>1 2026-03-14T09:26:53Z host app web.1 - - hello"), {
        Authorization: `Bearer ${token}`,
        "Content-Type": "application/logplex-1",
        "Logplex-Frame-Id": "F1",
      });
    const refused = await call();
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "5"]);
    unlinkSync(path);
    const taken = await call();
    expect([taken.status, taken.headers.get("logplex-duplicate")]).toEqual([204, null]);
    expect((await call()).headers.get("logplex-duplicate")).toBe("1");
  });
});

describe.skipIf(process.platform !== "linux")("a limit on files (needs ulimit)", () => {
  it("cuts a record in two, and nothing that was acknowledged is missing afterwards", async () => {
    const script = fileURLToPath(new URL("disk-full-child.ts", import.meta.url));
    const node = [
      process.execPath,
      "--conditions=@dynokit/source",
      "--import",
      "tsx",
      script,
      directory,
    ];
    // The signal of the limit would end the process; ignored, the write fails with EFBIG.
    const command = `trap '' XFSZ; ulimit -f 100; exec ${node.map((one) => `'${one}'`).join(" ")}`;
    const child = spawn("bash", ["-c", command], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const [code] = await once(child, "close");
    expect(code).toBe(0);
    const lines = output.trimEnd().split("\n");
    expect(lines.at(-1)).toBe("refused 20, history shows 5");
    const acknowledged = lines.slice(0, -1).map(Number);
    expect(acknowledged.length).toBeGreaterThan(50);
    const kept = new Set(seen(start()).map((line) => Number(line.split(" ")[2])));
    for (const number of acknowledged) expect(kept.has(number)).toBe(true);
  });
});
