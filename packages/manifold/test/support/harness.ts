import {
  type CloseOptions,
  type DynoDriver,
  type DynoEvent,
  type Formation,
  Manifold,
  type ManifoldOptions,
  type MemoryDriverOptions,
  MemoryWorld,
  memoryDriver,
  type ProcessDefinition,
  type VirtualClock,
  virtualClock,
} from "@dynokit/manifold";

export interface Harness {
  readonly manifold: Manifold;
  readonly clock: VirtualClock;
  readonly world: MemoryWorld;
  readonly events: DynoEvent[];
  /** Platform and app lines as `heroku[web.1]: …`. */
  readonly lines: string[];
  /** The lines so far of one dyno's platform source; empties the record. */
  take(dyno?: string): string[];
  states(): Record<string, string>;
  /** Closes the manifold, letting time pass for what takes some. */
  close(options?: CloseOptions): Promise<void>;
}

export interface HarnessOptions extends Omit<ManifoldOptions, "driver" | "clock"> {
  readonly memory?: Omit<MemoryDriverOptions, "clock" | "world">;
  readonly world?: MemoryWorld;
  readonly clock?: VirtualClock;
  /** Changes the driver before the manifold gets it. */
  readonly alter?: (driver: DynoDriver) => DynoDriver;
}

/** A manifold over memory dynos under virtual time. */
export function harness(options: HarnessOptions = {}): Harness {
  const { memory, world = new MemoryWorld(), clock = virtualClock(), ...others } = options;
  const { alter = (driver: DynoDriver) => driver, ...rest } = others;
  const lines: string[] = [];
  const events: DynoEvent[] = [];
  const decoder = new TextDecoder();
  const manifold = new Manifold({
    driver: alter(memoryDriver({ ...memory, clock, world })),
    clock,
    random: () => 0,
    logs: {
      write(batch) {
        for (const line of batch.lines) {
          lines.push(`${batch.source}[${batch.proc}]: ${decoder.decode(line)}`);
        }
      },
    },
    ...rest,
  });
  manifold.on("dyno", (event) => events.push(event));
  return {
    manifold,
    clock,
    world,
    events,
    lines,
    take(dyno) {
      const taken = lines.splice(0);
      if (dyno === undefined) return taken;
      const prefix = `heroku[${dyno}]: `;
      return taken
        .filter((line) => line.startsWith(prefix))
        .map((line) => line.slice(prefix.length));
    },
    async close(closing) {
      let done = false;
      const closed = manifold.close(closing).finally(() => {
        done = true;
      });
      for (let turn = 0; !done; turn++) {
        // A day: what takes longer never ends.
        if (turn > 86_400) throw new Error("The manifold does not close");
        await clock.advance(1000);
      }
      await closed;
    },
    states: () =>
      Object.fromEntries(manifold.ps().map(({ dyno, state }) => [dyno, state] as const)),
  };
}

export function process(quantity = 1, more: Partial<ProcessDefinition> = {}): ProcessDefinition {
  return { command: "node server.js", quantity, ...more };
}

export function formation(
  version: number,
  processes: Record<string, ProcessDefinition>,
  more: Partial<Formation> = {},
): Formation {
  return {
    app: "app-1",
    name: "shop",
    release: { id: `release-${version}`, version },
    env: {},
    processes,
    ...more,
  };
}

export const minutes = (count: number) => count * 60_000;
export const hours = (count: number) => count * 3_600_000;
