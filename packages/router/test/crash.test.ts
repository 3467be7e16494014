import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { exchange, get, rig } from "./support/harness.ts";

const APP = `import { createServer } from "node:http";
const server = createServer((request, response) => setTimeout(() => response.end("hi"), 5));
server.listen(0, "127.0.0.1", () => process.send(server.address().port));
`;

test("a dyno of three that is killed costs at most what was in flight on it", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dynokit-crash-"));
  const file = join(directory, "app.mjs");
  writeFileSync(file, APP);
  const dynos = [1, 2, 3].map(() => fork(file, { execArgv: [] }));
  onTestFinished(() => {
    for (const dyno of dynos) dyno.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  });
  const ports = await Promise.all(
    dynos.map(async (dyno) => (await once(dyno, "message"))[0] as number),
  );
  const { port, routes, lines, router } = await rig(ports);
  let answered = 0;
  let failed = 0;
  let running = true;
  const load = async () => {
    while (running) {
      const text = await exchange(
        port,
        get("/", answered % 2 === 0 ? "X: 1" : "Connection: close"),
      );
      if (/^HTTP\/1\.1 200 /.test(text)) answered++;
      else failed++;
    }
  };
  const clients = Array.from({ length: 12 }, load);
  const reach = async (count: number) => {
    while (answered < count) await new Promise((resolve) => setImmediate(resolve));
  };
  await reach(150);
  const victim = routes.get("app")?.backends.get(`127.0.0.1:${ports[1]}`);
  const inFlight = victim?.inFlight ?? 0;
  const gone = once(dynos[1] as NonNullable<(typeof dynos)[1]>, "exit");
  dynos[1]?.kill("SIGKILL");
  await gone;
  await reach(answered + 300);
  running = false;
  await Promise.all(clients);
  // Requests that had gone out between the count and the signal are in flight as well.
  expect(failed).toBeLessThanOrEqual(Math.max(inFlight, 12));
  const codes = new Set(lines.map((line) => / code=(H\d\d)/.exec(line)?.[1]).filter(Boolean));
  expect([...codes].filter((code) => code !== "H13" && code !== "H18")).toEqual([]);
  expect(lines.at(-1)).toMatch(/status=200/);
  expect(router.inspect().inFlight).toBe(0);
});
