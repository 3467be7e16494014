import { type DynoState, policyPresets } from "@dynokit/manifold";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DynoInput, DynoRecord, Effect } from "../../src/lifecycle/record.ts";
import { reduce } from "../../src/lifecycle/reducer.ts";
import { transitions } from "../../src/lifecycle/transitions.ts";

const exit = { exitCode: 1, signal: null, oomKilled: false, startedAt: 0, endedAt: 1 };

const states: readonly DynoState[] = [
  "provisioning",
  "starting",
  "up",
  "idle",
  "crashed",
  "stopping",
  "down",
  "complete",
];

const inputs: Readonly<Record<string, DynoInput>> = {
  place: { type: "place" },
  launched: { type: "launched" },
  "refused: platform": { type: "refused", retryable: true, detail: "away" },
  "refused: app": { type: "refused", retryable: false, detail: "no" },
  "refused: checksum": { type: "refused", retryable: false, checksum: true, detail: "no" },
  ready: { type: "ready" },
  admit: { type: "admit" },
  exit: { type: "exit", result: exit },
  lost: { type: "lost" },
  stop: { type: "stop", cause: "scale" },
  drained: { type: "drained" },
  "timer boot": { type: "timer", name: "boot" },
  "timer kill": { type: "timer", name: "kill" },
  "timer retry": { type: "timer", name: "retry", id: "new" },
  "timer stable": { type: "timer", name: "stable" },
  "timer cycle": { type: "timer", name: "cycle" },
  "timer time-to-live": { type: "timer", name: "time-to-live" },
  "timer client": { type: "timer", name: "client" },
  "timer hangup": { type: "timer", name: "hangup" },
  "timer reconnect": { type: "timer", name: "reconnect" },
  "timer stuck": { type: "timer", name: "stuck" },
  renew: { type: "renew", id: "new", cause: "wake" },
  "memory quota": { type: "memory", level: "quota", detail: "much" },
  "memory kill": { type: "memory", level: "kill", detail: "too much" },
  "client comes": { type: "client", connected: true },
  "client goes": { type: "client", connected: false },
};

/** Where a web dyno of a formation gets to; what is not named stays where it is. */
const table: Readonly<Record<DynoState, Readonly<Record<string, DynoState>>>> = {
  provisioning: { place: "starting", stop: "down" },
  starting: {
    "refused: platform": "crashed",
    "refused: app": "crashed",
    "refused: checksum": "crashed",
    ready: "up",
    exit: "crashed",
    lost: "crashed",
    stop: "stopping",
    "timer boot": "stopping",
    "memory kill": "stopping",
  },
  up: {
    exit: "crashed",
    lost: "crashed",
    stop: "stopping",
    "timer cycle": "stopping",
    "timer time-to-live": "stopping",
    "memory kill": "stopping",
  },
  idle: { renew: "starting", stop: "down" },
  crashed: { renew: "starting", "timer retry": "starting", stop: "down" },
  stopping: {
    "refused: platform": "down",
    "refused: app": "down",
    "refused: checksum": "down",
    exit: "down",
    lost: "down",
  },
  down: { renew: "starting" },
  complete: { renew: "starting", stop: "down" },
};

function record(state: DynoState, more: Partial<DynoRecord> = {}): DynoRecord {
  const alive = state === "starting" || state === "up" || state === "stopping";
  return {
    app: "app-1",
    dyno: "web.1",
    id: "old",
    type: "web",
    kind: "formation",
    command: "node server.js",
    size: "basic",
    release: { id: "r1", version: 1 },
    policy: policyPresets.heroku,
    routed: true,
    state,
    createdAt: 0,
    updatedAt: 0,
    origin: "scale",
    process: alive ? "alive" : "none",
    held: false,
    ready: state === "up",
    crashes: 0,
    faults: 0,
    attach: false,
    hangups: 0,
    ...(state === "stopping" && {
      ending: { cause: "scale", from: "up", replace: false, signalled: true, overdue: false },
    }),
    ...more,
  };
}

const context = { now: 1000, random: () => 0 };

describe("state × input → state, all of it", () => {
  for (const state of states) {
    for (const [name, input] of Object.entries(inputs)) {
      const expected = table[state][name] ?? state;
      test(`${state} × ${name} → ${expected}`, () => {
        const before = Object.freeze(record(state));
        const { record: after, effects } = reduce(before, input, context);
        expect(after.state).toBe(expected);
        const events = effects.filter((effect) => effect.type === "event");
        // Every change of state is said exactly once, and the chain of events has no gap.
        const changes = events.filter(({ event }) => event.from !== event.to);
        expect(changes.length).toBe(expected === state ? 0 : 1);
        if (changes[0]) expect(changes[0].event).toMatchObject({ from: state, to: expected });
        if (after.state !== before.state) expect(after.updatedAt).toBe(1000);
      });
    }
  }

  test("the table of the tests names no input that the reducer does not know", () => {
    for (const state of states) {
      for (const name of Object.keys(table[state])) {
        expect(Object.keys(transitions[state])).toContain(inputs[name]?.type);
      }
    }
  });

  test("the kind of dyno decides where an end leads", () => {
    const end = (more: Partial<DynoRecord>, input: DynoInput) =>
      reduce(record("up", more), input, context).record.state;
    expect(end({ kind: "one-off" }, { type: "exit", result: exit })).toBe("complete");
    expect(end({ kind: "one-off" }, { type: "lost" })).toBe("complete");
    const stopping = (cause: "idle" | "scale" | "boot-timeout" | "memory", kind?: "one-off") =>
      reduce(
        record("stopping", {
          ...(kind && { kind }),
          ending: { cause, from: "up", replace: false, signalled: true, overdue: false },
        }),
        { type: "exit", result: exit },
        context,
      ).record.state;
    expect(stopping("idle")).toBe("idle");
    expect(stopping("scale", "one-off")).toBe("complete");
    expect(stopping("boot-timeout")).toBe("crashed");
    expect(stopping("memory")).toBe("crashed");
  });
});

describe("for any sequence of inputs", () => {
  const anyInput = fc.constantFrom(...Object.values(inputs));
  const anyRecord = fc.record({
    kind: fc.constantFrom("formation" as const, "one-off" as const),
    routed: fc.boolean(),
    held: fc.boolean(),
    attach: fc.boolean(),
  });

  test("the events chain, every process that began is discarded at most once, and the end is said once", () => {
    fc.assert(
      fc.property(anyRecord, fc.array(anyInput, { maxLength: 60 }), (more, sequence) => {
        let state = record("provisioning", more);
        let last: DynoState = "provisioning";
        let id = 0;
        const discarded = new Set<string>();
        for (const given of sequence) {
          const input = "id" in given ? { ...given, id: `id-${id++}` } : given;
          const before = state;
          const { record: after, effects } = reduce(state, input, context);
          state = after;
          for (const effect of effects as Effect[]) {
            if (effect.type === "event") {
              expect(effect.event.from).toBe(last);
              last = effect.event.to;
            }
            if (effect.type === "discard") {
              expect(discarded.has(effect.id)).toBe(false);
              discarded.add(effect.id);
            }
          }
          expect(last).toBe(state.state);
          expect(state.ending === undefined).toBe(state.state !== "stopping");
          const restingStates = ["provisioning", "idle", "crashed", "down", "complete"];
          if (restingStates.includes(state.state)) expect(state.process).toBe("none");
          if (before.id !== state.id) expect(state.state).toBe("starting");
        }
      }),
      { numRuns: 2000 },
    );
  });
});
