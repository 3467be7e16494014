import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type {
  DriverCapabilities,
  DriverHandle,
  DynoDriver,
  DynoSpec,
  ExitResult,
  LogChunk,
  SlugRef,
} from "../driver/contract.ts";
import { DriverError, type DriverErrorCode } from "../driver/errors.ts";
import { packSlug } from "./slug.ts";
import type { KitOptions, MakeDriver } from "./types.ts";

/** What a dyno printed, until its end. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly chunks: readonly LogChunk[];
}

/** A fixture dyno that was started. */
export interface Started {
  readonly id: string;
  readonly handle: DriverHandle;
}

/** Skips the running check; thrown by checks that find out only while they run. */
export class SkipCheck extends Error {}

/** What one check works with: a driver of its own, helpers, and a clean end. */
export class CheckContext {
  readonly driver: DynoDriver;
  readonly capabilities: DriverCapabilities;
  readonly options: KitOptions;
  readonly granularity: number;
  /** Word that marks the processes of this check in the process list. */
  readonly word: string;
  /** Beginning of the ids of this check; never on a command line of the kit's. */
  readonly prefix: string;
  readonly #make: MakeDriver;
  readonly #drivers: DynoDriver[];
  readonly #ids = new Set<string>();
  readonly #cleanups: (() => void)[] = [];
  #counter = 0;

  private constructor(make: MakeDriver, driver: DynoDriver, options: KitOptions) {
    this.#make = make;
    this.driver = driver;
    this.#drivers = [driver];
    this.capabilities = driver.capabilities();
    this.options = options;
    this.granularity = options.granularity ?? 250;
    this.word = `kit-${randomBytes(6).toString("hex")}`;
    this.prefix = `dyno-${randomBytes(6).toString("hex")}`;
  }

  static async open(make: MakeDriver, options: KitOptions): Promise<CheckContext> {
    return new CheckContext(make, await make(), options);
  }

  /** Another instance, as a manifold that was started again would have it. */
  async another(): Promise<DynoDriver> {
    const driver = await this.#make();
    this.#drivers.push(driver);
    return driver;
  }

  id(): string {
    const id = `${this.prefix}-${++this.#counter}`;
    this.#ids.add(id);
    return id;
  }

  spec(command: DynoSpec["command"], members: Partial<DynoSpec> = {}): DynoSpec {
    const { spec } = this.options;
    return {
      command,
      ...spec,
      ...members,
      id: members.id ?? this.id(),
      env: { PATH: this.path, ...spec?.env, ...members.env },
      labels: {
        app: "kit",
        dyno: "web.1",
        type: "web",
        release: "00000000-0000-0000-0000-000000000000",
        releaseVersion: "v1",
        ...spec?.labels,
        ...members.labels,
      },
    };
  }

  get path(): string {
    return this.options.path ?? process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin";
  }

  async start(command: DynoSpec["command"], members: Partial<DynoSpec> = {}): Promise<Started> {
    const spec = this.spec(command, members);
    this.#ids.add(spec.id);
    return { id: spec.id, handle: await this.driver.start(spec) };
  }

  /** Starts, and waits until the fixture has printed `ready`. */
  async startReady(
    command: DynoSpec["command"],
    members: Partial<DynoSpec> = {},
  ): Promise<Started> {
    const started = await this.start(command, members);
    await this.line(started.id, "ready");
    return started;
  }

  /** Starts, waits for the exit, and collects the output. */
  async run(
    command: DynoSpec["command"],
    members: Partial<DynoSpec> = {},
  ): Promise<Output & Started & { readonly result: ExitResult }> {
    const started = await this.start(command, members);
    const result = await this.driver.wait(started.id);
    return { ...started, ...(await this.output(started.id)), result };
  }

  /** All output up to the exit. */
  async output(id: string, driver: DynoDriver = this.driver): Promise<Output> {
    const chunks: LogChunk[] = [];
    for await (const chunk of this.logs(id, driver)) chunks.push(chunk);
    return { stdout: textOf(chunks, "stdout"), stderr: textOf(chunks, "stderr"), chunks };
  }

  logs(
    id: string,
    driver: DynoDriver = this.driver,
    options: { readonly since?: string; readonly signal?: AbortSignal } = {},
  ): AsyncIterable<LogChunk> {
    assert.ok(driver.logs, "logs is declared, so the member must be there");
    return driver.logs(id, options);
  }

  /** Waits until the dyno has printed this line; fails when it ends before. */
  async line(id: string, text: string, driver: DynoDriver = this.driver): Promise<void> {
    const seen: string[] = [];
    for await (const chunk of this.logs(id, driver)) {
      const line = Buffer.from(chunk.bytes).toString("utf8");
      if (line === text) return;
      seen.push(line);
    }
    assert.fail(`The dyno ended without printing "${text}"; it printed ${JSON.stringify(seen)}`);
  }

  /** Processes with this word in their command line, as the engine's host has them. */
  async observe(word: string = this.word): Promise<number> {
    return this.options.observe ? this.options.observe(word) : countProcesses(word);
  }

  /** Waits until the condition holds; what does not happen in time fails with `message`. */
  async until(
    condition: () => boolean | Promise<boolean>,
    message: string,
    timeoutMs = 10_000,
  ): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await condition())) {
      if (Date.now() > deadline) assert.fail(message);
      await delay(20);
    }
  }

  /** Asserts something about what the driver lists, now or when its list has caught up. */
  async listed(
    assertion: (ids: readonly string[], handles: readonly DriverHandle[]) => void,
    driver: DynoDriver = this.driver,
  ): Promise<void> {
    const deadline = Date.now() + (this.options.listLagMs ?? 0);
    for (;;) {
      const late = Date.now() >= deadline;
      const handles = await driver.list();
      try {
        assertion(
          handles.map(({ id }) => id),
          handles,
        );
        return;
      } catch (error) {
        if (late) throw error;
      }
      await delay(20);
    }
  }

  /** The call must reject with a `DriverError` of this code. */
  async rejects(
    call: () => Promise<unknown>,
    code: DriverErrorCode | readonly DriverErrorCode[],
  ): Promise<DriverError> {
    const wanted: readonly string[] = typeof code === "string" ? [code] : code;
    let value: unknown;
    try {
      value = await call();
    } catch (error) {
      assert.ok(DriverError.is(error), `Rejected with ${String(error)}, which is no DriverError`);
      assert.ok(
        wanted.includes(error.code),
        `Rejected with "${error.code}" (${error.message}), expected was "${wanted.join('" or "')}"`,
      );
      return error;
    }
    return assert.fail(
      `Resolved to ${JSON.stringify(value)}, expected was a rejection with "${wanted.join('" or "')}"`,
    );
  }

  /** Whether fixture dynos may get their code this way. */
  allows(code: "slug" | "cwd"): boolean {
    return (this.options.code ?? ["slug", "cwd"]).includes(code);
  }

  /** A directory that goes with the check. */
  directory(): string {
    const path = mkdtempSync(join(tmpdir(), "dynokit-kit-"));
    this.#cleanups.push(() => rmSync(path, { recursive: true, force: true }));
    return path;
  }

  /** A slug with these files. */
  async slug(files: Readonly<Record<string, string>>): Promise<SlugRef> {
    const archive = packSlug(files);
    const checksum = `SHA256:${createHash("sha256").update(archive).digest("hex")}`;
    const { publish } = this.options;
    if (publish) return { id: this.id(), checksum, url: await publish(archive) };
    const path = join(this.directory(), "slug.tgz");
    writeFileSync(path, archive);
    return { id: this.id(), checksum, path };
  }

  /** Code with these files, as the driver takes it. */
  async code(files: Readonly<Record<string, string>>): Promise<Partial<DynoSpec>> {
    if (this.allows("slug")) return { slug: await this.slug(files) };
    const cwd = this.directory();
    for (const [name, content] of Object.entries(files)) writeFileSync(join(cwd, name), content);
    return { cwd };
  }

  skip(reason: string): never {
    throw new SkipCheck(reason);
  }

  /** Removes what the check has made. A driver that fails here has shown it in the check already. */
  async close(): Promise<void> {
    const driver = await this.another();
    for (const id of this.#ids) await driver.destroy(id, { force: true }).catch(() => {});
    for (const one of this.#drivers) await one.close().catch(() => {});
    for (const cleanup of this.#cleanups) cleanup();
  }
}

/** The lines of one stream as the text they were. */
export function textOf(chunks: readonly LogChunk[], stream: LogChunk["stream"]): string {
  const parts: Uint8Array[] = [];
  const mine = chunks.filter((chunk) => chunk.stream === stream);
  for (const [index, chunk] of mine.entries()) {
    parts.push(chunk.bytes);
    if (!chunk.partial && index < mine.length - 1) parts.push(Buffer.from("\n"));
  }
  return Buffer.concat(parts).toString("utf8");
}

function countProcesses(word: string): number {
  let count = 0;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      if (readFileSync(`/proc/${name}/cmdline`, "latin1").includes(word)) count++;
    } catch {
      // Gone meanwhile.
    }
  }
  return count;
}
