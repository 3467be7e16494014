import { expect } from "vitest";
import {
  type DrainNotice,
  DrainSet,
  type DrainSetOptions,
  type LedgerView,
} from "../../src/drain/index.ts";
import { createMemorySource, type MemorySource } from "../../src/testing/memory-source.ts";
import { createVirtualClock, type VirtualClock } from "../../src/testing/virtual-clock.ts";
import { until } from "./receiver.ts";

/** Drains over one channel with a virtual clock and no jitter. */
export interface Setup {
  readonly clock: VirtualClock;
  readonly source: MemorySource;
  readonly drains: DrainSet;
  readonly notices: DrainNotice[];
  readonly states: string[];
}

export const LOCAL = { allowInsecure: true, allowPrivate: true } as const;

export function setup(
  options: Partial<DrainSetOptions> & { capacity?: number; source?: never } = {},
): Setup {
  const { capacity, ...rest } = options;
  const clock = createVirtualClock();
  const source = createMemorySource({
    now: () => clock.now(),
    ...(capacity === undefined ? {} : { capacity }),
  });
  const notices: DrainNotice[] = [];
  const states: string[] = [];
  const drains = new DrainSet({
    source: () => source,
    clock,
    random: () => 1,
    policy: LOCAL,
    notify: (_channel, notice) => notices.push(notice),
    onState: ({ from, to }) => states.push(`${from}>${to}`),
    ...rest,
  });
  return { clock, source, drains, notices, states };
}

/** Moves virtual time on in steps, letting I/O finish in between, until the condition holds. */
export async function advanceUntil(
  { clock }: { clock: VirtualClock },
  condition: () => boolean,
  stepMs = 1000,
  limitMs = 26 * 3_600_000,
): Promise<void> {
  const end = clock.now() + limitMs;
  while (!condition()) {
    if (clock.now() > end) throw new Error("never happened in virtual time");
    for (let turn = 0; turn < 40 && !condition(); turn++) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    if (!condition()) clock.advance(stepMs);
  }
}

export function expectBalanced(ledger: LedgerView): void {
  const lost = Object.values(ledger.lost).reduce((sum, count) => sum + count, 0);
  expect(ledger.delivered + lost + ledger.filtered + ledger.pending).toBe(ledger.received);
  expect(ledger.lostTotal).toBe(lost);
}

export async function delivered({ drains }: Setup, id: string, count: number): Promise<void> {
  await until(() => drains.ledger(id).delivered === count, `${count} delivered`);
}
