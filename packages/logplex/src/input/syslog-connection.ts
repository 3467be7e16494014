import type { Socket } from "node:net";
import { FrameParser, type Framing } from "../frame/frame-parser.ts";
import type { InputDialect } from "../frame/syslog-parser.ts";
import type { BudgetMeter } from "./budget.ts";
import { type Destination, FrameIngest } from "./frame-ingest.ts";
import { type Ingress, resolver } from "./ingress.ts";

/** What connections of one listener share. */
export interface SyslogConnectionOptions {
  readonly framing: Framing;
  readonly dialect: InputDialect;
  readonly maxFrameBytes: number | undefined;
  readonly idleTimeoutMs: number;
  readonly maxMalformed: number;
  /** Whether one more connection of a token is allowed; asked when the token is known. */
  readonly admit: (socket: Socket, token: string) => boolean;
}

/** Writes that may wait for the disk before a connection is paused. */
const MAX_WAITING = 64;

/** Reads one connection until it ends, misbehaves or is idle (spec/logplex.md §5.2). */
export function serveSyslogConnection(
  socket: Socket,
  ingress: Ingress,
  options: SyslogConnectionOptions,
  bound: Destination | undefined,
): void {
  const { clock, tokens, counters, budgets } = ingress;
  let malformed = 0;
  let timer: unknown;
  let waiting = 0;
  let pausedForBudget = false;
  let pausedForDrain = false;
  let meter: BudgetMeter | undefined = bound === undefined ? undefined : budgets.of(bound.token.id);
  const resolve = resolver(ingress);
  const admitted = new Set<string>();
  let refused = false;
  const admit = (token: string): boolean => {
    if (admitted.has(token)) return true;
    if (refused || !options.admit(socket, token)) {
      refused = true;
      counters.rejected.budget += 1;
      return false;
    }
    admitted.add(token);
    return true;
  };
  if (bound !== undefined && !admit(bound.token.id)) {
    socket.destroy();
    return;
  }
  const ingest = new FrameIngest({
    dialect: options.dialect,
    bound,
    resolve: (appName) => {
      const destination = resolve(appName);
      if (destination === undefined || !admit(destination.token.id)) return undefined;
      // One sender is one token in practice; the latest is charged for what its connection brings.
      meter = budgets.of(destination.token.id);
      return destination;
    },
    onAccepted: (channel, messages, bytes) =>
      counters.accept("syslog", channel.class, messages, bytes),
  });
  let chunk: Buffer | undefined;
  const parser = new FrameParser({
    mode: "stream",
    framing: options.framing,
    maxFrameBytes: options.maxFrameBytes,
    onFrame: (buffer, start, end, truncated) => {
      const before = ingest.rejected;
      ingest.frame(buffer, start, end, truncated);
      if (buffer !== chunk) ingest.settle();
      if (ingest.rejected > before && ingest.lastRejection === "malformed") malformed += 1;
    },
    onFault: () => {
      malformed += 1;
      counters.rejected.malformed += 1;
    },
  });

  const resume = (): void => {
    if (!pausedForBudget && !pausedForDrain && waiting < MAX_WAITING) socket.resume();
  };
  const pauseFor = (ms: number): void => {
    pausedForBudget = true;
    socket.pause();
    clock.clearTimeout(timer);
    timer = clock.setTimeout(() => {
      pausedForBudget = false;
      resume();
    }, ms);
  };
  const settle = (): void => {
    const { accepted, bytes, rejected } = ingest;
    const touched = ingest.flush();
    counters.rejected.unknown_token += rejected;
    ingest.reset();
    const pauseMs = meter?.charge(accepted, bytes) ?? 0;
    if (pauseMs > 0) pauseFor(pauseMs);
    const relief = pausedForDrain ? undefined : ingress.pressure(touched);
    if (relief !== undefined) {
      pausedForDrain = true;
      socket.pause();
      const go = (): void => {
        pausedForDrain = false;
        resume();
      };
      relief.then(go, go);
    }
    const durable = ingress.durable(touched);
    if (durable === undefined) return;
    waiting += 1;
    if (waiting >= MAX_WAITING) socket.pause();
    const done = (): void => {
      waiting -= 1;
      resume();
    };
    // A failed disk is reported where it failed; the reader goes on in memory.
    durable.then(done, done);
  };

  socket.on("data", (data: Buffer) => {
    if (!ingress.switches.ingress) {
      socket.destroy();
      return;
    }
    chunk = data;
    ingest.begin(data, clock.now() * 1000, tokens.version);
    parser.push(data);
    chunk = undefined;
    settle();
    if (malformed >= options.maxMalformed || refused) socket.destroy();
  });
  socket.on("end", () => {
    ingest.begin(Buffer.alloc(0), clock.now() * 1000, tokens.version);
    parser.end();
    settle();
    socket.end();
  });
  socket.setTimeout(options.idleTimeoutMs, () => socket.destroy());
  // A reset is the sender's way to leave; close follows.
  socket.on("error", () => socket.destroy());
  socket.on("close", () => clock.clearTimeout(timer));
}
