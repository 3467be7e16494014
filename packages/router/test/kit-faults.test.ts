import {
  judgeCase,
  KitBackend,
  observeCase,
  PROXY_CASES,
  STATE_CASES,
} from "@dynokit/router/testing";
import { describe, test } from "vitest";
import { FAULTS } from "./support/faults.ts";
import { faultyProxy } from "./support/faulty-proxy.ts";

const CASES = [...PROXY_CASES, ...STATE_CASES.filter(({ at }) => at === "maintenance")];

/**
 * Every fault meets the cases that must notice it and a share of the others; together the shares
 * are all cases.
 */
function casesFor(index: number) {
  const { caught } = FAULTS[index] as (typeof FAULTS)[number];
  return CASES.filter(({ id }, at) => caught.includes(id) || at % FAULTS.length === index);
}

describe("a proxy with one fault is caught by the cases about it, and by no others", () => {
  test.concurrent.for(FAULTS.map((fault, index) => ({ ...fault, index })))(
    "that $does",
    async (fault, { expect, onTestFinished }) => {
      const backend = new KitBackend();
      const proxy = await faultyProxy(fault, await backend.listen());
      onTestFinished(async () => {
        await proxy.stop?.();
        await backend.close();
      });
      const caught = new Set<string>();
      for (const each of casesFor(fault.index)) {
        const hostname = each.at === undefined ? proxy.hostname : "down.test";
        const seen = await observeCase(each, { ...proxy, hostname }, backend, 40);
        if (judgeCase(each, seen).length > 0) caught.add(each.id);
      }
      expect(caught).toEqual(new Set(fault.caught));
    },
  );
});
