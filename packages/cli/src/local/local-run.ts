import { Logplex } from "@dynokit/logplex";
import {
  type DynoEvent,
  type DynoInfo,
  type Formation,
  type LogBatch,
  Manifold,
  type PolicyOptions,
  policyPresets,
  processDriver,
} from "@dynokit/manifold";
import { Router, RouteTable } from "@dynokit/router";
import { CliError } from "../errors.ts";
import { holderText } from "./busy-port.ts";
import { LocalDriver } from "./driver.ts";
import { ExitPolicy } from "./exit-policy.ts";
import { narrate } from "./narrator.ts";
import type { Printer } from "./printer.ts";
import type { LocalType, Project } from "./project.ts";
import { followTypes, hostsOf } from "./routes.ts";

export interface LocalRunOptions {
  readonly project: Project;
  readonly printer: Printer;
  /** Where dynos are kept; what an earlier run left there is ended first. */
  readonly stateDirectory: string;
  readonly exitWith: readonly string[];
  /** Dynos that end are started again, with a growing wait. */
  readonly restart: boolean;
  /** ms between the stop signal and SIGKILL. */
  readonly stopTimeoutMs: number;
  readonly stopSignal: string;
  /** Types with a terminal. */
  readonly terminals: readonly string[];
  readonly terminalSize: { columns: number; rows: number };
  /** Undefined: no router. 0: any port. */
  readonly routerPort: number | undefined;
  /** Another port when `routerPort` is taken; else that is an error. */
  readonly routerMayMove: boolean;
}

/** Never: a developer's machine has no quota, and a debugger stops the clock. */
const dayMs = 86_400_000;
/** ms after which a dyno that does not listen on its port is worth a hint. */
const hintMs = 10_000;
const release = { id: "local", version: 1 };

/**
 * One Procfile running on this machine: manifold, router and log in this process. `ended` resolves
 * with the exit status when the run is over by its own rules; `close` ends it at any time.
 */
export class LocalRun {
  readonly project: Project;
  readonly logplex = new Logplex({ budget: false });
  readonly driver: LocalDriver;
  readonly ended: Promise<number>;
  /** Where the router listens. */
  routerUrl: string | undefined;
  readonly #options: LocalRunOptions;
  readonly #manifold: Manifold;
  readonly #policy: ExitPolicy;
  readonly #alive = new Set<string>();
  readonly #quantities = new Map<string, number>();
  /** Types that run once and have done so. */
  readonly #completed = new Set<string>();
  readonly #hints = new Map<string, NodeJS.Timeout>();
  #router: Router | undefined;
  #end: (status: number) => void = () => {};
  #closing: Promise<void> | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(options: LocalRunOptions) {
    const { project, terminals, terminalSize } = options;
    this.#options = options;
    this.project = project;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#policy = new ExitPolicy(options.exitWith);
    this.driver = new LocalDriver(
      // `block`: a slow terminal slows the dynos down, and no line is lost.
      processDriver({ stateDirectory: options.stateDirectory, logs: { overflow: "block" } }),
      {
        portOf: (dyno) => this.#portOf(dyno),
        terminalOf: (type) => (terminals.includes(type) ? terminalSize : undefined),
      },
    );
    this.#manifold = new Manifold({
      driver: this.driver,
      policy: {
        ...policyPresets.local,
        bootTimeoutMs: dayMs,
        probeIntervalMs: 100,
        stop: {
          signal: options.stopSignal,
          timeoutMs: options.stopTimeoutMs,
          scope: "all",
          drainMs: 500,
        },
      },
      sizes: { "standard-1x": { name: "local", limits: {} } },
      statsIntervalMs: dayMs,
      envPrefix: "DYNOKIT_",
      logs: { write: (batch) => this.#write(batch) },
    });
    this.#manifold.on("dyno", (event) => this.#onDyno(event));
  }

  /** Ends what an earlier run that was killed has left. */
  async clear(): Promise<void> {
    const strays = await this.#manifold.sweep();
    if (strays === 0) return;
    const what = strays === 1 ? "process" : "processes";
    this.#options.printer.say(`ended ${strays} ${what} that an earlier run left behind`);
  }

  /** The ports that the dynos will have. */
  firstPorts(): { dyno: string; port: number }[] {
    return this.project.types.flatMap(({ name, port, quantity }) =>
      port === undefined
        ? []
        : Array.from({ length: quantity }, (_, index) => ({
            dyno: `${name}.${index + 1}`,
            port: port + index,
          })),
    );
  }

  /** Starts everything. Resolves when that has begun. */
  async start(): Promise<void> {
    await this.#listen();
    for (const { name, quantity } of this.project.types) this.#quantities.set(name, quantity);
    await this.#begin();
  }

  async #begin(): Promise<void> {
    const rollout = await this.#manifold.apply(this.#formation());
    void rollout.done.then(({ status }) => {
      if (status === "succeeded" && this.#closing === undefined && !this.#someWait())
        this.#sayReady();
    });
  }

  /** A type that runs once is not done when it is up, but when it is complete. */
  #waits({ dependsOn }: LocalType): boolean {
    return dependsOn.some(
      (other) => this.type(other).once && this.quantity(other) > 0 && !this.#completed.has(other),
    );
  }

  #someWait(): boolean {
    return this.project.types.some((type) => this.quantity(type.name) > 0 && this.#waits(type));
  }

  ps(): DynoInfo[] {
    return this.#manifold.ps(this.project.name);
  }

  type(name: string): LocalType {
    const found = this.project.types.find((type) => type.name === name);
    if (found) return found;
    const known = this.project.types.map((type) => type.name).join(", ");
    throw new CliError("usage", `There is no process type "${name}". There are ${known}.`);
  }

  quantity(type: string): number {
    return this.#quantities.get(type) ?? 0;
  }

  /** Changes quantities; resolves when what is to go is gone and what is to come has begun. */
  async scale(quantities: Readonly<Record<string, number>>): Promise<void> {
    for (const [type, quantity] of Object.entries(quantities)) {
      if (quantity > 100)
        throw new CliError("usage", `${type}=${quantity} is too many here: 100 at most.`);
      this.#quantities.set(this.type(type).name, quantity);
    }
    const going = this.ps().filter(
      ({ type, dyno }) => Number(dyno.slice(dyno.lastIndexOf(".") + 1)) > this.quantity(type),
    );
    await this.#manifold.apply(this.#formation());
    await this.#gone(going.map(({ id }) => id));
  }

  /** Restarts one dyno, a type, or all; resolves when the new ones have begun. */
  async restart(target: string | undefined): Promise<void> {
    const selector =
      target === undefined ? {} : target.includes(".") ? { dyno: target } : { type: target };
    if (selector.type !== undefined) {
      this.type(selector.type);
      if (this.quantity(selector.type) === 0)
        throw new CliError("usage", `${selector.type} does not run; start it instead.`);
    }
    if (selector.dyno !== undefined) this.dyno(selector.dyno);
    await this.#manifold.restart(this.project.name, selector);
  }

  /** A dyno that is there, by its name; a type with one dyno names that. */
  dyno(name: string): DynoInfo {
    const all = this.ps();
    const found = all.find(({ dyno }) => dyno === name) ?? all.find(({ type }) => type === name);
    if (found) return found;
    const known = all.map(({ dyno }) => dyno).join(", ") || "none";
    throw new CliError("usage", `There is no dyno "${name}". There are: ${known}.`);
  }

  /** Ends everything in its own time. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Ends every process at once; `close` resolves soon after. */
  kill(): Promise<void> {
    return this.driver.killAll();
  }

  async #close(): Promise<void> {
    for (const timer of this.#hints.values()) clearTimeout(timer);
    await this.#manifold.close();
    await this.#router?.close({ drainMs: 0 });
    await this.logplex.close();
  }

  async #listen(): Promise<void> {
    const { project, routerPort } = this.#options;
    if (routerPort === undefined || project.types.every(({ port }) => port === undefined)) return;
    const routes = new RouteTable();
    followTypes(routes, this.#manifold, this.driver, project);
    this.#router = new Router({
      routes,
      logs: { write: (batch) => this.#write({ ...batch, channel: project.name }) },
    });
    const listen = async (port: number) =>
      (await this.#router?.listen({ port, host: "127.0.0.1" }))?.port;
    let port: number | undefined;
    try {
      port = await listen(routerPort);
    } catch (cause) {
      const busy = `Port ${routerPort}, which the router is to have, is in use${holderText(routerPort)}.`;
      if (!this.#options.routerMayMove)
        throw new CliError(
          "failed",
          `${busy} End that, or choose another with --router-port, or --no-router.`,
          { cause },
        );
      port = await listen(0);
      this.#options.printer.say(`${busy} The router takes ${port}; --router-port chooses.`);
    }
    this.routerUrl = `http://localhost:${port}`;
  }

  #formation(): Formation {
    const { project } = this;
    return {
      app: project.name,
      name: project.name,
      release,
      cwd: project.directory,
      env: project.env,
      processes: Object.fromEntries(
        project.types.map((type) => [
          type.name,
          {
            command: type.command,
            quantity: this.#waits(type) ? 0 : this.quantity(type.name),
            port: type.port !== undefined,
            policy: this.#policyOf(type),
          },
        ]),
      ),
    };
  }

  #policyOf(type: LocalType): PolicyOptions {
    const dependsOn = type.dependsOn.filter(
      (other) => this.quantity(other) > 0 && !this.type(other).once,
    );
    if (type.once) return { dependsOn, restart: { maxRestarts: 0, exitCodesOk: [0] } };
    return this.#options.restart ? { dependsOn } : { dependsOn, restart: { maxRestarts: 0 } };
  }

  /** `web.3` has the port of `web.1` and two. */
  #portOf(dyno: string): number | undefined {
    const dot = dyno.lastIndexOf(".");
    const first = this.project.types.find(({ name }) => name === dyno.slice(0, dot))?.port;
    return first === undefined ? undefined : first + Number(dyno.slice(dot + 1)) - 1;
  }

  #write(batch: LogBatch): void | Promise<void> {
    void this.logplex.write(batch);
    return this.#options.printer.write(batch);
  }

  #onDyno(event: DynoEvent): void {
    const dynos = this.ps();
    if (event.to === "down" || event.exit) this.#alive.delete(event.id);
    else this.#alive.add(event.id);
    this.#hint(event);
    const next = dynos.find(({ id }) => id === event.id)?.nextAttemptAt;
    const said = narrate(event, next);
    if (said !== undefined) this.#options.printer.say(said, event.at);
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
    if (this.#closing !== undefined) return;
    // Before what waited is let go: it is not among the dynos yet.
    const waiting = this.#someWait();
    this.#complete(event, dynos);
    const status = this.#policy.after(event, dynos, waiting);
    if (status !== undefined) this.#end(status);
  }

  /** Starts what waited for a type to complete, once all dynos of that did. */
  #complete({ type, to }: DynoEvent, dynos: readonly DynoInfo[]): void {
    if (to !== "complete" || !this.type(type).once) return;
    if (dynos.some((dyno) => dyno.type === type && dyno.state !== "complete")) return;
    const waited = this.#someWait();
    this.#completed.add(type);
    if (!waited) return;
    // Not in the middle of the step that completed it.
    setImmediate(() => {
      if (this.#closing === undefined)
        this.#begin().catch((error: Error) => this.#options.printer.say(error.message));
    });
  }

  /** A web process that does not look at PORT is the commonest mistake, and silent otherwise. */
  #hint({ id, dyno, to }: DynoEvent): void {
    clearTimeout(this.#hints.get(id));
    this.#hints.delete(id);
    const port = this.#portOf(dyno);
    if (to !== "starting" || port === undefined || this.#closing !== undefined) return;
    const timer = setTimeout(() => {
      this.#hints.delete(id);
      void this.driver.inspect(id).then(
        ({ listening = [] }) => {
          const seen = listening.map((one) => one.port).join(", ");
          this.#options.printer.say(
            `${dyno} does not listen on its port ${port} yet${seen === "" ? "" : `; it listens on ${seen}`}. Does its command use $PORT? --portless takes the port away.`,
          );
        },
        () => undefined, // It ended meanwhile, which is said already.
      );
    }, hintMs);
    timer.unref();
    this.#hints.set(id, timer);
  }

  async #gone(ids: readonly string[]): Promise<void> {
    while (this.#closing === undefined && ids.some((id) => this.#alive.has(id)))
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  #sayReady(): void {
    const { printer, project } = this.#options;
    const routed = project.types.filter(
      ({ name, port }) => port !== undefined && this.quantity(name) > 0,
    );
    const lines = routed.map((type) => {
      const direct = `http://localhost:${type.port}`;
      if (this.routerUrl === undefined) return `${type.name}: ${direct}`;
      const url = new URL(this.routerUrl);
      url.hostname = hostsOf(project, type)[0] as string;
      return `${type.name}: ${url.href}  (${type.name}.1 by itself: ${direct})`;
    });
    if (project.types.some(({ name, once }) => !once && this.quantity(name) > 0))
      printer.say(["ready", ...lines].join("\n"));
  }
}
