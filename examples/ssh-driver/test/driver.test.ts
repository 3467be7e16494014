import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { describeDriver } from "@dynokit/manifold/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sshDriver } from "../driver.ts";

// All instances see the same dynos: here by sharing the map.
const dynos = new Map();
describeDriver(() => sshDriver({ dynos }), {
  name: "the SSH driver through a local shell",
  code: ["cwd"],
  expect: { signal: true, logs: true, containment: "group" },
  describe,
  it,
});

const sshd = "/usr/sbin/sshd";
const missing = !existsSync(sshd) || userInfo().uid !== 0;
if (missing && (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("sshd"))
  throw new Error("sshd is required, and root to start it");

describe.skipIf(missing)(
  `through a real sshd${missing ? " (skipped: none, or not root)" : ""}`,
  () => {
    const home = mkdtempSync(join(tmpdir(), "dynokit-sshd-"));
    let server: ChildProcess;
    let port = 0;

    beforeAll(async () => {
      for (const name of ["host", "user"])
        execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(home, name)]);
      writeFileSync(join(home, "authorized"), readFileSync(join(home, "user.pub")), {
        mode: 0o600,
      });
      mkdirSync("/run/sshd", { recursive: true });
      port = await freePort();
      const options = {
        Port: port,
        ListenAddress: "127.0.0.1",
        HostKey: join(home, "host"),
        AuthorizedKeysFile: join(home, "authorized"),
        PermitRootLogin: "prohibit-password",
        StrictModes: "no",
        UsePAM: "no",
        PidFile: "none",
      };
      server = spawn(sshd, [
        "-D",
        "-e",
        "-f",
        "/dev/null",
        ...Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]),
      ]);
      let said = "";
      for await (const chunk of server.stderr ?? []) {
        said += chunk;
        if (said.includes("Server listening")) break;
      }
      expect(said).toContain("Server listening");
    }, 60_000);
    afterAll(async () => {
      if (server && server.exitCode === null) {
        server.kill();
        await once(server, "exit");
      }
      rmSync(home, { recursive: true, force: true });
    });

    it("starts a dyno, passes its lines and its end, and stops it", {
      timeout: 60_000,
    }, async () => {
      const via = ["ssh", "-T", "-p", String(port), "-i", join(home, "user")];
      for (const option of [
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "LogLevel=ERROR",
      ])
        via.push("-o", option);
      const driver = sshDriver({ via: [...via, `${userInfo().username}@127.0.0.1`] });
      const base = {
        env: { PATH: "/usr/bin:/bin", WORD: 'it\'s "here"\n' },
        cwd: home,
        labels: { app: "a", dyno: "web.1", type: "web", release: "r", releaseVersion: "v1" },
      };
      await driver.start({ ...base, id: "one", command: 'pwd; printf %s "$WORD"; exit 3' });
      const lines: string[] = [];
      for await (const chunk of driver.logs("one", {}))
        lines.push(Buffer.from(chunk.bytes).toString());
      expect(lines).toEqual([home, 'it\'s "here"']);
      expect(await driver.wait("one")).toMatchObject({ exitCode: 3, signal: null });

      await driver.start({ ...base, id: "two", command: "sleep 1000 & wait" });
      await driver.stop("two", { timeoutMs: 20_000 });
      expect(await driver.wait("two")).toMatchObject({ exitCode: null, signal: "SIGTERM" });
    });
  },
);

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
