import { describeDriver } from "@dynokit/manifold/testing";
import { describe, it } from "vitest";
import { childDriver } from "../driver.ts";

// All instances see the same dynos: here by sharing the map.
const dynos = new Map();

describeDriver(() => childDriver(dynos), {
  name: "the example's driver",
  code: ["cwd"],
  expect: { signal: true, logs: true, containment: "group" },
  describe,
  it,
});
