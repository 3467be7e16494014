import { createServer, type Server, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { systemResolve } from "../../src/drain/net/lookup.ts";
import { createStreamTransport } from "../../src/drain/transport/syslog-stream.ts";
import type { DrainTransport, SendOutcome } from "../../src/drain/transport/transport.ts";
import { parseDrainUrl } from "../../src/drain/url.ts";
import { type DrainSubject, describeDrain, drainChecks } from "../../src/testing/index.ts";

/** A transport that writes into an array; the base of the broken ones. */
function memorySubject(
  change: (good: DrainTransport, state: State) => Partial<DrainTransport> = () => ({}),
): DrainSubject {
  const state: State = { taken: [], broken: false };
  const good: DrainTransport = {
    async send(frame, signal): Promise<SendOutcome> {
      if (signal.aborted) return { kind: "aborted" };
      if (state.broken) return { kind: "temporary", reason: "unreachable" };
      state.taken.push(frame.body);
      return { kind: "delivered" };
    },
    async probe(frame, signal) {
      return {
        outcome: await good.send(frame, signal),
        addresses: [],
        certificates: [],
        latencyMs: 0,
      };
    },
    preview: () => "",
    close: async () => undefined,
  };
  return {
    transport: { ...good, ...change(good, state) },
    received: async () => Buffer.concat(state.taken),
    breakReceiver: async () => {
      state.broken = true;
    },
    repairReceiver: async () => {
      state.broken = false;
    },
    secrets: ["hunter2"],
    dispose: async () => undefined,
  };
}

interface State {
  taken: Buffer[];
  broken: boolean;
}

const broken: Record<string, () => DrainSubject> = {
  "delivers-in-order": () =>
    memorySubject((_good, state) => ({
      async send(frame, signal) {
        if (signal.aborted) return { kind: "aborted" };
        if (state.broken) return { kind: "temporary", reason: "unreachable" };
        state.taken.unshift(frame.body);
        return { kind: "delivered" };
      },
    })),
  "never-rejects": () =>
    memorySubject((good, state) => ({
      async send(frame, signal) {
        if (state.broken && !signal.aborted) throw new Error("unreachable");
        return good.send(frame, signal);
      },
    })),
  recovers: () => {
    let failed = false;
    return memorySubject((good) => ({
      async send(frame, signal) {
        if (failed && !signal.aborted) return { kind: "temporary", reason: "gave up" };
        const outcome = await good.send(frame, signal);
        failed = outcome.kind === "temporary";
        return outcome;
      },
    }));
  },
  "honours-abort": () =>
    memorySubject((good, state) => ({
      async send(frame, signal) {
        if (signal.aborted) return { kind: "temporary", reason: "unreachable" };
        return state.broken
          ? { kind: "temporary", reason: "unreachable" }
          : good.send(frame, signal);
      },
    })),
  "keeps-secrets": () => memorySubject(() => ({ preview: () => "Authorization: hunter2" })),
  "closes-twice": () => {
    // The kit itself closes once more at the end, so only the second call may fail.
    let calls = 0;
    return memorySubject(() => ({
      close: async () => {
        if (++calls === 2) throw new Error("closed already");
      },
    }));
  },
};

async function failing(make: () => DrainSubject): Promise<string[]> {
  const failed: string[] = [];
  for (const check of drainChecks) {
    await check.run(make).catch(() => failed.push(check.name));
  }
  return failed;
}

describeDrain("a transport in memory", () => memorySubject(), { describe, it });
describeDrain("the syslog transport", syslogSubject, { describe, it });

describe("the drain kit", () => {
  it("has a broken example for each check", () => {
    expect(new Set(Object.keys(broken))).toEqual(new Set(drainChecks.map((check) => check.name)));
  });

  it.each(Object.keys(broken))(
    "catches the transport that breaks %s, by that check alone",
    async (name) => {
      expect(await failing(broken[name] as () => DrainSubject)).toEqual([name]);
    },
  );
});

async function syslogSubject(): Promise<DrainSubject> {
  let bytes = Buffer.alloc(0);
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  const listen = (port: number) =>
    new Promise<number>((resolve) => {
      const next = createServer((socket) => {
        sockets.add(socket);
        socket.on("data", (chunk: Buffer) => {
          bytes = Buffer.concat([bytes, chunk]);
        });
        socket.on("error", () => undefined);
        socket.on("close", () => sockets.delete(socket));
      });
      server = next;
      next.listen(port, "127.0.0.1", () => resolve((next.address() as { port: number }).port));
    });
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    const old = server;
    server = undefined;
    if (old) await new Promise((resolve) => old.close(resolve));
  };
  const port = await listen(0);
  const policy = { allowPrivate: true };
  return {
    transport: createStreamTransport({
      target: parseDrainUrl(`syslog://127.0.0.1:${port}`, policy),
      policy,
      clock: systemClock,
      random: Math.random,
      resolve: systemResolve,
    }),
    received: async () => bytes,
    breakReceiver: stop,
    repairReceiver: async () => {
      if (!server) await listen(port);
    },
    secrets: [],
    dispose: stop,
  };
}
