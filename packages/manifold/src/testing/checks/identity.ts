import assert from "node:assert/strict";
import type { DynoDriver } from "../../driver/contract.ts";
import { acceptsInterface } from "../../driver/interface-range.ts";
import { fixture } from "../fixtures.ts";
import type { Check } from "../types.ts";

const operations = ["signal", "exec", "attach", "logs", "stats", "events", "prepare"] as const;

/** Calls an operation that the driver does not declare. */
async function callUndeclared(
  driver: DynoDriver,
  operation: (typeof operations)[number],
  id: string,
): Promise<unknown> {
  const { signal } = new AbortController();
  switch (operation) {
    case "signal":
      return driver.signal?.(id, "SIGUSR1");
    case "exec":
      return driver.exec?.(id, ["true"]);
    case "attach":
      return driver.attach?.(id);
    case "prepare":
      return driver.prepare?.({ id: "x", command: "true", env: {}, labels: {} as never });
    case "logs":
      return driver.logs?.(id)[Symbol.asyncIterator]().next();
    case "stats":
      return driver.stats?.(id)[Symbol.asyncIterator]().next();
    case "events":
      return driver.events?.(signal)[Symbol.asyncIterator]().next();
  }
}

export const identityChecks: readonly Check[] = [
  {
    number: 1,
    name: "info.shape",
    concern: "identity",
    passes: "name, semantic version and interface range are valid",
    async run({ driver }) {
      const info = driver.info();
      assert.match(info.name, /^[a-z][a-z0-9-]*$/, "the name must be in kebab-case");
      assert.match(info.version, /^\d+\.\d+\.\d+(-[\w.]+)?(\+[\w.]+)?$/);
      assert.ok(
        acceptsInterface(info.interfaceRange, "1.0.0"),
        `The range "${info.interfaceRange}" does not include the contract 1.0.0`,
      );
    },
  },
  {
    number: 2,
    name: "capabilities.pure",
    concern: "identity",
    passes: "two calls, and two instances, give equal plain data",
    async run(context) {
      const first = context.driver.capabilities();
      assert.deepEqual(context.driver.capabilities(), first);
      assert.deepEqual((await context.another()).capabilities(), first);
      assert.deepEqual(JSON.parse(JSON.stringify(first)), first, "must be plain data");
    },
  },
  {
    number: 3,
    name: "capabilities.honest",
    concern: "identity",
    passes:
      "declared operations exist, undeclared ones give `not-supported`, expected ones are declared",
    async run(context) {
      const { driver, capabilities, options } = context;
      const { id } = await context.start(fixture("sleep"));
      for (const operation of operations) {
        if (capabilities[operation])
          assert.equal(
            typeof driver[operation],
            "function",
            `"${operation}" is declared but missing`,
          );
        else if (driver[operation])
          await context.rejects(() => callUndeclared(driver, operation, id), "not-supported");
      }
      if (typeof options.expect === "object") assertIncludes(capabilities, options.expect, "");
    },
  },
  {
    number: 4,
    name: "fingerprint.first",
    concern: "identity",
    passes: "the first value comes within 2 s",
    skip: (_capabilities, driver) => (driver.fingerprint ? undefined : "no fingerprint"),
    async run({ driver, granularity }) {
      const abort = new AbortController();
      const started = Date.now();
      try {
        const values = driver.fingerprint?.(abort.signal)[Symbol.asyncIterator]();
        const first = await values?.next();
        assert.equal(first?.done, false, "ended without a value");
        assert.ok(Date.now() - started < 2_000 + granularity, "took longer than 2 s");
      } finally {
        abort.abort();
      }
    },
  },
  {
    number: 5,
    name: "fingerprint.abort",
    concern: "identity",
    passes: "the iteration ends on abort",
    skip: (_capabilities, driver) => (driver.fingerprint ? undefined : "no fingerprint"),
    async run({ driver }) {
      const abort = new AbortController();
      const values = driver.fingerprint?.(abort.signal)[Symbol.asyncIterator]();
      await values?.next();
      abort.abort();
      const next = await Promise.race([
        values?.next(),
        new Promise<undefined>((done) => setTimeout(done, 3_000, undefined).unref()),
      ]);
      assert.ok(next, "still iterating 3 s after the abort");
      assert.equal(next.done, true, "gave a value after the abort");
    },
  },
];

function assertIncludes(actual: object, expected: object, path: string): void {
  for (const [name, value] of Object.entries(expected)) {
    const own = (actual as Record<string, unknown>)[name];
    if (typeof value === "object" && value !== null)
      assertIncludes((own ?? {}) as object, value, `${path}${name}.`);
    else assert.equal(own, value, `capability "${path}${name}" is not as expected`);
  }
}
