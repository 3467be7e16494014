import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import type {
  BuilderPort,
  DynoEventPort,
  DynoPort,
  FormationPort,
  LogBatchPort,
  LogplexPort,
  ManifoldPort,
  OneOffPort,
  OneOffSessionPort,
  RoutesPort,
} from "../../src/ports.ts";

/** How a command of the fake ends, by its text. */
export type Outcome = { readonly exitCode: number; readonly output?: string };

/** Runs nothing: dynos are rows that are up at once. */
export class FakeManifold implements ManifoldPort {
  readonly formations = new Map<string, FormationPort>();
  readonly applied: FormationPort[] = [];
  readonly calls: unknown[][] = [];
  readonly oneOffs: OneOffPort[] = [];
  readonly listeners = new Set<(event: DynoEventPort) => void>();
  #dynos: DynoPort[] = [];
  outcome: (command: string) => Promise<Outcome> | Outcome = () => ({ exitCode: 0 });
  refuse: Error | undefined;

  apply(formation: FormationPort): void {
    if (this.refuse) throw this.refuse;
    this.formations.set(formation.app, formation);
    this.applied.push(formation);
    this.#dynos = this.#dynos.filter(({ app, type }) => app !== formation.app || type === "run");
    for (const [type, { command, quantity, size }] of Object.entries(formation.processes))
      for (let number = 1; number <= quantity; number++)
        this.#dynos.push(this.#dyno(formation, `${type}.${number}`, type, command, size));
  }

  #dyno(
    of: { app: string; release: FormationPort["release"] },
    dyno: string,
    type: string,
    command: string,
    size = "Standard-1X",
  ): DynoPort {
    const at = Date.now();
    const { app, release } = of;
    const row = { app, dyno, id: randomUUID(), type, command, size, state: "up", release };
    return { ...row, createdAt: at, updatedAt: at };
  }

  remove(app: string): void {
    this.calls.push(["remove", app]);
    this.formations.delete(app);
    this.#dynos = this.#dynos.filter((dyno) => dyno.app !== app);
  }

  restart(app: string, selector?: unknown): void {
    this.calls.push(["restart", app, selector]);
  }

  stop(app: string, selector?: unknown): void {
    this.calls.push(["stop", app, selector]);
  }

  async run(oneOff: OneOffPort): Promise<OneOffSessionPort> {
    this.oneOffs.push(oneOff);
    const type = oneOff.type ?? "run";
    const dyno = this.#dyno(oneOff, `${type}.${1000 + this.oneOffs.length}`, type, oneOff.command);
    this.#dynos.push(dyno);
    const ended = Promise.resolve(this.outcome(oneOff.command)).then((outcome) => {
      this.#dynos = this.#dynos.filter((row) => row !== dyno);
      return outcome;
    });
    const exit = async (): Promise<{ exitCode: number; signal: null }> => ({
      exitCode: (await ended).exitCode,
      signal: null,
    });
    return {
      dyno,
      wait: exit,
      stop: async () => {},
      open: async () => ({
        output: (async function* () {
          const { output } = await ended;
          if (output) yield { stream: "stdout" as const, bytes: Buffer.from(output) };
        })(),
        write: async () => {},
        end: async () => {},
        resize: async () => {},
        signal: async () => {},
        wait: exit,
        close: async () => {},
      }),
    };
  }

  async exec(app: string, dyno: string, argv: readonly string[], options: unknown) {
    this.calls.push(["exec", app, dyno, argv, options]);
    return await (await this.run(this.oneOffs[0] ?? fakeOneOff(app))).open();
  }

  ps(app?: string): readonly DynoPort[] {
    return app === undefined ? this.#dynos : this.#dynos.filter((dyno) => dyno.app === app);
  }

  on(_event: "dyno", listener: (event: DynoEventPort) => void): void {
    this.listeners.add(listener);
  }

  off(_event: "dyno", listener: (event: DynoEventPort) => void): void {
    this.listeners.delete(listener);
  }

  sweep(): void {
    this.calls.push(["sweep"]);
  }
}

const fakeOneOff = (app: string): OneOffPort => ({
  app,
  command: "true",
  release: { id: randomUUID(), version: 1, createdAt: 0 },
  env: {},
});

export class FakeRoutes implements RoutesPort {
  readonly routes = new Map<string, Parameters<RoutesPort["set"]>[1]>();
  set(app: string, route: Parameters<RoutesPort["set"]>[1]): void {
    this.routes.set(app, route);
  }
  delete(app: string): void {
    this.routes.delete(app);
  }
}

export class FakeLogplex implements LogplexPort {
  readonly batches: LogBatchPort[] = [];
  readonly drainUrls = new Map<string, string>();
  readonly sessions = new Map<string, unknown>();
  refuse: Error | undefined;

  write(batch: LogBatchPort): void {
    this.batches.push(batch);
  }

  /** `app[api]: …` lines of a channel. */
  lines(channel: string): string[] {
    return this.batches
      .filter((batch) => batch.channel === channel)
      .flatMap((batch) =>
        batch.lines.map((line) => `${batch.source}[${batch.proc}]: ${Buffer.from(line)}`),
      );
  }

  createSession(channel: string, options: unknown): { id: string; secret: string } {
    const secret = `secret-${this.sessions.size}`;
    this.sessions.set(secret, { channel, options });
    return { id: randomUUID(), secret };
  }

  serveSession(secret: string, _request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(this.sessions.has(secret) ? 200 : 404, {
      "content-type": "text/event-stream",
    });
    response.end("id: 1\ndata: a line\n\n");
  }

  addDrain(_channel: string, url: string, { id }: { id: string }): void {
    if (this.refuse) throw this.refuse;
    this.drainUrls.set(id, url);
  }

  removeDrain(id: string): void {
    this.drainUrls.delete(id);
  }

  deleteChannel(): void {}

  ledger(): unknown {
    return { received: 0, delivered: 0 };
  }

  async testDrain(): Promise<unknown> {
    return { outcome: "delivered" };
  }
}

/** Reads process types from an archive that is their JSON. */
export class FakeBuilder implements BuilderPort {
  readonly requests: Parameters<BuilderPort["build"]>[0][] = [];
  readonly removed: string[] = [];
  readonly cleared: string[] = [];
  hold: Promise<void> | undefined;
  swept = 0;

  async sweep(): Promise<void> {
    this.swept++;
  }

  async build(request: Parameters<BuilderPort["build"]>[0]) {
    this.requests.push(request);
    request.output(Buffer.from("-----> Building\n"));
    await Promise.race([
      this.hold,
      new Promise((_resolve, reject) => {
        request.signal?.addEventListener("abort", () =>
          reject(new Error("The build was cancelled.")),
        );
        if (!this.hold) _resolve(undefined);
      }),
    ]);
    const path = "path" in request.source ? request.source.path : "";
    const { "app.json": _manifest, ...types } = JSON.parse(readFileSync(path, "utf8"));
    return this.#slug(path, types);
  }

  async importSlug({ path, processTypes }: Parameters<BuilderPort["importSlug"]>[0]) {
    return this.#slug(path, processTypes);
  }

  #slug(path: string, processTypes: Record<string, string>) {
    const text = JSON.stringify(processTypes);
    const hex = createHash("sha256").update(text).digest("hex");
    return {
      id: hex.slice(0, 32),
      checksum: `SHA256:${hex}`,
      path,
      size: text.length,
      processTypes,
      stack: "heroku-24",
      buildpackDescription: "Node.js",
    };
  }

  /** The archive is JSON of process types; with `app.json` as one of them that is the file. */
  async readFile({ source, name }: Parameters<NonNullable<BuilderPort["readFile"]>>[0]) {
    const text = readFileSync("path" in source ? source.path : "", "utf8");
    const content: unknown = JSON.parse(text)[name];
    return typeof content === "string" ? Buffer.from(content) : undefined;
  }

  async removeSlug(id: string): Promise<void> {
    this.removed.push(id);
  }

  async clearCache(appId: string): Promise<void> {
    this.cleared.push(appId);
  }
}
