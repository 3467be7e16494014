import { randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { sandboxKit } from "./support/kit.ts";
import { describeWalls } from "./support/requirement.ts";

// bubblewrap that is killed while it makes its namespaces leaves its process 1 behind (spec/drivers.md §5.5).
const ROUNDS = process.env["DYNOKIT_SOAK"] === "1" ? 200 : 12;

const read = (path: string) => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
};

describeWalls("supervisors killed while a sandbox is made", (runtime) => {
  it.each(runtime === "bwrap" ? [true, false] : [true])(
    "leave no process of it (control groups: %s)",
    { timeout: 600_000 },
    async (controlGroups) => {
      const kit = sandboxKit({ runtime, controlGroups, startTimeoutMs: 5_000 });
      const driver = kit.make();
      /** Supervisors, bubblewrap in whatever state, dynos: all have the directory in a line or a mount. */
      const left = () =>
        readdirSync("/proc").filter(
          (pid) =>
            /^\d+$/.test(pid) &&
            Number(pid) !== process.pid &&
            (read(`/proc/${pid}/cmdline`).includes(kit.stateDirectory) ||
              read(`/proc/${pid}/mountinfo`).includes(kit.stateDirectory)),
        );
      const ids = Array.from({ length: ROUNDS }, (_, index) => `race${index}`);
      await Promise.all(
        ids.map(async (id, index) => {
          // A few at a time.
          await delay(index * 60);
          const started = driver
            .start({
              id,
              command: "sleep 1000",
              env: { PATH: "/usr/bin:/bin" },
              labels: { app: "a", dyno: "w.1", type: "w", release: "r", releaseVersion: "1" },
            })
            .catch(() => undefined);
          let status = "";
          while (!status.includes('"shimPid"')) {
            status = read(join(kit.stateDirectory, id, "status.json"));
            await delay(1);
          }
          // A container takes longer until it is there.
          await delay(randomInt(runtime === "bwrap" ? 9 : 90));
          process.kill(JSON.parse(status).shimPid, "SIGKILL");
          await started;
        }),
      );
      // What the next look at them does, and the end of each.
      await driver.list();
      for (const id of ids) await driver.destroy(id, { force: true });
      await expect.poll(left, { timeout: 20_000 }).toEqual([]);
      await driver.close();
      kit.remove();
    },
  );
});
