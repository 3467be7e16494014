import { describe, it } from "vitest";
import { memoryDriver } from "../../src/index.ts";
import { describeDriver, memoryFixtures } from "../../src/testing/index.ts";

const { world } = memoryDriver();

describeDriver(() => memoryDriver({ world, script: memoryFixtures, stats: true }), {
  name: "memory driver",
  expect: { recover: "running-and-results", containment: "complete", exec: true, attach: true },
  observe: (word) => world.processes(word),
  describe,
  it,
});
