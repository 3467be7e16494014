import { DriverError } from "../../../../src/index.ts";
import { altersLogs, type Breaks, text, wrap } from "./tools.ts";

/** For each check of logs, statistics, exec and attach, a driver that must fail it. */
export const streamsBreaks: Breaks = {
  "logs.order": altersLogs((chunk) => (text(chunk) === "o5000" ? undefined : chunk)),
  "logs.last-partial": altersLogs((chunk, id, state) =>
    state.runs(id, "print") && text(chunk) === "two" ? undefined : chunk,
  ),
  "logs.before-exit": (driver, state) => ({
    async *logs(id, options) {
      if (state.runs(id, "print", "last words\\n") && state.count(id) > 1) return;
      yield* driver.logs(id, options);
    },
  }),
  "logs.utf8-split": altersLogs((chunk) =>
    text(chunk) === "é€" ? { ...chunk, bytes: Buffer.from("\ufffd\ufffd€") } : chunk,
  ),
  "logs.binary": altersLogs((chunk) => ({ ...chunk, bytes: Buffer.from(text(chunk)) })),
  "logs.long-line": altersLogs((chunk) => ({ ...chunk, partial: false })),
  "logs.backpressure": altersLogs((chunk) => (chunk.stream === "notice" ? undefined : chunk)),
  "logs.streams": altersLogs((chunk) =>
    text(chunk) === "err" ? { ...chunk, stream: "stdout" } : chunk,
  ),
  "stats.interval": (driver) => ({
    stats: (id, options) =>
      driver.stats(id, { ...options, intervalMs: 20 * (options?.intervalMs ?? 100) }),
  }),
  "stats.ends": (driver) => ({
    async *stats(id, options) {
      yield* driver.stats(id, options);
      await new Promise(() => {});
    },
  }),
  "stats.tree": (driver) => ({
    async *stats(id, options) {
      for await (const sample of driver.stats(id, options))
        yield { ...sample, memoryBytes: 1_000_000 };
    },
  }),
  "exec.result": (driver) => ({
    exec: async (id, argv, options) => {
      const session = await driver.exec(id, argv, options);
      async function* merged() {
        for await (const { bytes } of session.output) yield { stream: "stdout" as const, bytes };
      }
      return wrap(session, { output: merged() });
    },
  }),
  "exec.stdin-close": (driver) => ({
    exec: async (...call) => wrap(await driver.exec(...call), { end: async () => {} }),
  }),
  "exec.tty": (driver) => ({
    exec: async (...call) => wrap(await driver.exec(...call), { resize: async () => {} }),
  }),
  "exec.timeout": (driver) => ({
    exec: async (...call) => {
      const session = await driver.exec(...call);
      return wrap(session, {
        wait: async () => {
          const { error: _hidden, ...result } = await session.wait();
          return result;
        },
      });
    },
  }),
  "exec.env": (driver) => ({
    exec: (id, argv, options) => driver.exec(id, argv, { ...options, env: {} }),
  }),
  "exec.not-running": (driver) => ({
    exec: (...call) =>
      driver.exec(...call).catch((error: Error) => {
        throw new DriverError("failed", error.message);
      }),
  }),
  "attach.disconnect": (driver) => ({
    attach: async (id) =>
      wrap(await driver.attach(id), { close: () => driver.stop(id, { timeoutMs: 0 }) }),
  }),
};
