import { closeSync, rmSync } from "node:fs";
import type { DynoDriver, DynoSpec, ExitResult, LogChunk } from "../../../../src/index.ts";
import { readFixture } from "../../../../src/testing/index.ts";

/** What the instances of one broken driver share, and what has to be cleared away after it. */
export class BrokenState {
  readonly specs = new Map<string, DynoSpec>();
  readonly #counts = new Map<string, number>();
  /** Command lines of processes that the driver "forgot". */
  readonly strays: string[] = [];
  readonly files: string[] = [];
  readonly descriptors: number[] = [];
  forgedPid = 0;

  /** 1 for the first call with this key. */
  count(key: string): number {
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return count;
  }

  /** Whether the dyno runs this fixture, with these first parameters if any are given. */
  runs(id: string, fixture: string, ...parameters: readonly string[]): boolean {
    const spec = this.specs.get(id);
    const found = spec && readFixture(spec.command);
    return (
      found?.name === fixture &&
      parameters.every((value, index) => found.parameters[index] === value)
    );
  }

  clear(): void {
    for (const file of this.files) rmSync(file, { force: true });
    for (const descriptor of this.descriptors) closeSync(descriptor);
  }
}

/** The good driver, with the members present that the breaks reach into. */
export type GoodDriver = DynoDriver &
  Required<Pick<DynoDriver, "logs" | "stats" | "exec" | "attach" | "signal">>;

/** The members that are broken, over a good driver. */
export type Break = (driver: GoodDriver, state: BrokenState) => Partial<DynoDriver>;

/** For each check a driver that must fail it. */
export type Breaks = Readonly<Record<string, Break>>;

/** An object with some members replaced. */
export function wrap<T extends object>(target: T, members: Partial<T>): T {
  return new Proxy(target, {
    get(_target, name) {
      if (Object.hasOwn(members, name)) return members[name as keyof T];
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A start that changes the spec. */
export const altersSpec =
  (alter: (spec: DynoSpec, state: BrokenState) => DynoSpec): Break =>
  (driver, state) => ({ start: (spec, options) => driver.start(alter(spec, state), options) });

/** A wait that changes the result. */
export const altersResult =
  (alter: (result: ExitResult, id: string, state: BrokenState) => ExitResult): Break =>
  (driver, state) => ({
    wait: async (id, options) => alter(await driver.wait(id, options), id, state),
  });

/** Logs that change, or drop, lines. */
export const altersLogs =
  (alter: (chunk: LogChunk, id: string, state: BrokenState) => LogChunk | undefined): Break =>
  (driver, state) => ({
    async *logs(id, options) {
      for await (const chunk of driver.logs(id, options)) {
        const altered = alter(chunk, id, state);
        if (altered) yield altered;
      }
    },
  });

export const text = (chunk: LogChunk) => Buffer.from(chunk.bytes).toString("utf8");

export const parameter = (command: DynoSpec["command"], index: number) =>
  readFixture(command)?.parameters[index] ?? "";

/** Remembers what is started, and breaks the driver. */
export function breakDriver(driver: DynoDriver, breaks: Break, state: BrokenState): DynoDriver {
  const members = breaks(driver as GoodDriver, state);
  const start = members.start ?? ((spec, options) => driver.start(spec, options));
  return wrap(driver, {
    ...members,
    start: (spec, options) => {
      state.specs.set(spec.id, spec);
      return start(spec, options);
    },
  });
}
