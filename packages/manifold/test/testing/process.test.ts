import { afterAll, describe, it } from "vitest";
import { describeDriver } from "../../src/testing/index.ts";
import { processKit } from "./support/process-kit.ts";

const grouped = processKit();
const plain = processKit({ controlGroups: false });
afterAll(() => {
  grouped.remove();
  plain.remove();
});

describeDriver(grouped.make, {
  ...grouped.options,
  name: "process driver",
  cycles: 20,
  expect: { recover: "running-and-results", logs: true, exec: true, attach: true },
  describe,
  it,
});

describeDriver(plain.make, {
  ...plain.options,
  name: "process driver without control groups",
  cycles: 10,
  parallel: 20,
  // What control groups have a part in; the other checks are those of above.
  only: [
    "capabilities",
    "start.abort",
    "start.parallel",
    "stop",
    "destroy",
    "stats",
    "exec.timeout",
  ].concat(["recover", "limits", "zombies", "soak"]),
  expect: { limits: { memory: "sampled", pids: "none" } },
  describe,
  it,
});

const blocking = processKit({ logs: { overflow: "block", segments: 2 } });
afterAll(() => blocking.remove());

describeDriver(blocking.make, {
  ...blocking.options,
  name: "process driver that blocks on a full log",
  only: ["logs."],
  describe,
  it,
});
