import { setTimeout as delay } from "node:timers/promises";
import { DriverError } from "../../../../src/index.ts";
import { altersLogs, altersResult, altersSpec, type Breaks } from "./tools.ts";

/** For each check of identity and start, a driver that must fail it. */
export const startBreaks: Breaks = {
  "info.shape": (driver) => ({
    info: () => ({ ...driver.info(), interfaceRange: "^2.0.0" }),
  }),
  "capabilities.pure": (driver) => ({
    capabilities: () => Object.assign({ ...driver.capabilities() }, { random: Math.random() }),
  }),
  "capabilities.honest": (driver) => ({
    capabilities: () => ({ ...driver.capabilities(), prepare: true }),
  }),
  "fingerprint.first": () => ({
    async *fingerprint() {
      await delay(9_000);
      yield {};
    },
  }),
  "fingerprint.abort": () => ({
    async *fingerprint() {
      yield {};
      await new Promise(() => {});
    },
  }),
  // Written into the driver's own record, so that it is the same everywhere and only JSON shows it.
  "start.handle-json": (driver) => ({
    start: async (...call) =>
      Object.assign(await driver.start(...call), { data: { at: new Date() } }),
  }),
  "start.duplicate-id": (driver) => ({
    start: async (spec, options) => {
      const live = (await driver.list()).find(({ id }) => id === spec.id);
      return live ?? driver.start(spec, options);
    },
  }),
  "start.env-exact": altersSpec((spec) => ({ ...spec, env: { ...spec.env, EXTRA: "1" } })),
  "start.env-odd-values": altersSpec((spec) => ({
    ...spec,
    env: Object.fromEntries(
      Object.entries(spec.env).map(([name, value]) => [name, value.replaceAll("\n", " ")]),
    ),
  })),
  "start.cwd": altersLogs((chunk, id, state) =>
    state.runs(id, "readFile") ? { ...chunk, bytes: Buffer.from("elsewhere") } : chunk,
  ),
  "start.argv-exact": altersSpec((spec) =>
    typeof spec.command === "string"
      ? spec
      : { ...spec, command: spec.command.map((word) => (word === "*" ? "expanded" : word)) },
  ),
  "start.shell-form": altersSpec((spec) =>
    typeof spec.command === "string"
      ? { ...spec, command: spec.command.replaceAll("$PORT", "\\$PORT") }
      : spec,
  ),
  "start.missing-binary": altersResult((result, id, state) =>
    state.specs.get(id)?.command[0]?.startsWith("dynokit-") ? { ...result, exitCode: 1 } : result,
  ),
  "start.bad-cwd": (driver) => ({
    start: (spec, options) =>
      driver.start(spec, options).catch((error: unknown) => {
        if (!DriverError.is(error) || !error.message.includes("does not exist")) throw error;
        throw new DriverError("invalid-spec", "The start failed with ENOENT");
      }),
  }),
  "start.abort": (driver) => ({ start: (spec) => driver.start(spec) }),
  "start.parallel": (driver) => {
    let starting = 0;
    return {
      start: async (spec, options) => {
        if (++starting > 8) {
          starting--;
          throw new DriverError("unavailable", "Too many starts at once");
        }
        return driver.start(spec, options).finally(() => starting--);
      },
    };
  },
};
