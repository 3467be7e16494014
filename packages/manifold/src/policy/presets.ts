import type { Policy, PresetName, RestartPolicy } from "./policy.ts";

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** Restart rules of the presets (spec/dynos.md §5). */
export const restartPresets: Readonly<Record<PresetName, RestartPolicy>> = {
  heroku: {
    immediate: 1,
    delaysMs: [20, 40, 60, 180, 320].map((minutes) => minutes * minute),
    jitter: 0.5,
    resetAfterMs: 5 * minute,
    maxRestarts: null,
    exitCodesOk: [],
  },
  diego: {
    immediate: 3,
    delaysMs: [30, 60, 120, 240, 480, 960].map((seconds) => seconds * second),
    jitter: 0,
    resetAfterMs: 5 * minute,
    maxRestarts: 200,
    exitCodesOk: [],
  },
  local: {
    immediate: 0,
    delaysMs: [0.5, 1, 2, 4, 8, 16, 30].map((seconds) => seconds * second),
    jitter: 0,
    resetAfterMs: minute,
    maxRestarts: null,
    exitCodesOk: [],
  },
  never: {
    immediate: 0,
    delaysMs: [],
    jitter: 0,
    resetAfterMs: 5 * minute,
    maxRestarts: 0,
    exitCodesOk: [],
  },
};

const common = {
  bootTimeoutMs: minute,
  probeIntervalMs: 200,
  stop: { signal: "SIGTERM", timeoutMs: 30 * second, scope: "all", drainMs: 30 * second },
  rollout: { strategy: "auto" },
  idle: false,
  dependsOn: [],
} as const;

const cycle = { everyMs: 24 * hour, jitterMs: 216 * minute, strategy: "stop-start" } as const;

/** The whole policies by name; `heroku` is the default. */
export const policyPresets: Readonly<Record<PresetName, Policy>> = {
  heroku: { ...common, restart: restartPresets.heroku, cycle },
  diego: { ...common, restart: restartPresets.diego, cycle: false },
  local: { ...common, restart: restartPresets.local, cycle: false },
  never: { ...common, restart: restartPresets.never, cycle: false },
};
