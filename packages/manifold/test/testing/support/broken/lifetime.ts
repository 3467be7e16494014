import { setTimeout as delay } from "node:timers/promises";
import { DriverError } from "../../../../src/index.ts";
import { readFixture } from "../../../../src/testing/index.ts";
import { altersResult, altersSpec, type Breaks, parameter } from "./tools.ts";

/** For each check of wait, stop, destroy, inspect and signal, a driver that must fail it. */
export const lifetimeBreaks: Breaks = {
  "wait.exit-code": altersResult((result) =>
    result.exitCode === 255 ? { ...result, exitCode: 1 } : result,
  ),
  "wait.signal": altersResult((result, id, state) =>
    state.runs(id, "die") ? { ...result, exitCode: 143, signal: null } : result,
  ),
  "wait.many": altersResult((result, id, state) =>
    state.runs(id, "exitAfter", "0.2", "3")
      ? { ...result, endedAt: result.endedAt + state.count(id) }
      : result,
  ),
  "wait.after-exit": (driver, state) => ({
    wait: async (id, options) => {
      if (state.runs(id, "exit", "4") && state.count(id) > 1) throw DriverError.notFound(id);
      return driver.wait(id, options);
    },
  }),
  "wait.abort": (driver) => ({
    wait: (id, options) => {
      options?.signal?.addEventListener("abort", () => void driver.stop(id, { timeoutMs: 0 }));
      return driver.wait(id, options).catch(async (error: unknown) => {
        await driver.stop(id, { timeoutMs: 0 });
        throw error;
      });
    },
  }),
  "stop.graceful": (driver, state) => ({
    stop: (id, options) =>
      driver.stop(id, {
        ...options,
        ...(state.runs(id, "onSignal", "TERM", "7") && options?.timeoutMs ? { timeoutMs: 0 } : {}),
      }),
  }),
  "stop.escalates": (driver) => ({
    stop: (id, options) =>
      driver.stop(id, {
        ...options,
        ...(options?.timeoutMs === 1_000 ? { timeoutMs: 100 } : {}),
      }),
  }),
  "stop.early": (driver) => ({
    stop: async (id, options) => {
      await driver.stop(id, options);
      if (options?.timeoutMs === 6_000) await delay(4_100);
    },
  }),
  "stop.zero-timeout": (driver, state) => ({
    stop: (id, options) =>
      driver.stop(id, {
        ...options,
        ...(state.runs(id, "onSignal") && options?.timeoutMs === 0 ? { timeoutMs: 9_000 } : {}),
      }),
  }),
  "stop.custom-signal": (driver) => ({
    stop: (id, options) =>
      driver.stop(id, {
        ...options,
        ...(options?.signal === "SIGINT" ? { signal: "SIGTERM" } : {}),
      }),
  }),
  "stop.whole-group": altersSpec((spec, state) => {
    if (readFixture(spec.command)?.name === "tree") state.strays.push(parameter(spec.command, 0));
    return spec;
  }),
  "stop.double-fork": altersSpec((spec, state) => {
    if (readFixture(spec.command)?.name === "daemon") state.strays.push(parameter(spec.command, 0));
    return spec;
  }),
  "stop.idempotent": (driver) => ({
    stop: async (id, options) => {
      if (id.endsWith("-unknown")) throw DriverError.notFound(id);
      return driver.stop(id, options);
    },
  }),
  "destroy.running": (driver) => ({ destroy: (id) => driver.destroy(id, { force: true }) }),
  "destroy.frees": (driver, state) => ({
    destroy: async (id, options) => {
      if (!state.runs(id, "exit", "6")) await driver.destroy(id, options);
    },
  }),
  "inspect.states": (driver, state) => ({
    inspect: async (id) => {
      const inspection = await driver.inspect(id);
      return state.runs(id, "exitAfter", "0.3", "3") && state.count(id) === 2
        ? { ...inspection, state: "starting" }
        : inspection;
    },
  }),
  "inspect.unknown": (driver) => ({
    inspect: async (id) => {
      if (!id.endsWith("-unknown")) return driver.inspect(id);
      throw new DriverError("failed", "The engine answered with status 404");
    },
  }),
  "list.complete": (driver) => ({
    list: async () => {
      const live = await driver.list();
      return live.length === 2 ? live.slice(1) : live;
    },
  }),
  "signal.deliver": (driver, state) => ({
    signal: async (id, name) => {
      if (!state.runs(id, "onUser") || name !== "SIGUSR1") await driver.signal(id, name);
    },
  }),
  "signal.after-exit": (driver) => ({
    signal: async (id, name) => {
      if ((await driver.inspect(id)).state !== "exited") return driver.signal(id, name);
      for (const other of await driver.list()) await driver.stop(other.id, { timeoutMs: 0 });
    },
  }),
};
