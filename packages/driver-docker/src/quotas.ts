import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";

const TIMEOUT_MS = 10_000;

// An engine tells nowhere whether it can; it refuses a volume with a size when it can't.
const PROBE = `
const { request } = require("node:http");
const [, socketPath, Name] = process.argv;
const ask = (method, path, body) => new Promise((done) => {
  const headers = { "content-type": "application/json" };
  const asked = request({ socketPath, method, path, headers }, (answer) => {
    answer.resume();
    answer.once("end", () => done(answer.statusCode));
  });
  asked.once("error", () => done(0));
  asked.end(body);
});
(async () => {
  const made = await ask("POST", "/volumes/create", JSON.stringify({ Name, Driver: "local", DriverOpts: { size: "1048576" } }));
  if (made === 201) await ask("DELETE", "/volumes/" + Name);
  process.stdout.write(String(made));
})();
`;

const known = new Map<string, boolean>();

/**
 * Whether the engine can limit the disk of a container: its data is on xfs with project quotas
 * (spec/drivers.md §6). Asked once for each engine and program, by a program of its own because
 * what a driver can do is said without a wait. One that can't be reached is asked again.
 */
export function hasQuotas(socketPath: string): boolean {
  const answer = known.get(socketPath);
  if (answer !== undefined) return answer;
  const name = `dynokit-quota-${randomUUID()}`;
  const { stdout } = spawnSync(process.execPath, ["-e", PROBE, socketPath, name], {
    encoding: "utf8",
    env: {},
    timeout: TIMEOUT_MS,
  });
  const status = Number(stdout || 0);
  if (status === 0) return false;
  known.set(socketPath, status === 201);
  return status === 201;
}
