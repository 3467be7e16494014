import type { Readable } from "node:stream";
import type { ExitResult } from "@dynokit/manifold";
import type Docker from "dockerode";
import { LABEL } from "./container-spec.ts";

const AGAIN_MS = 1_000;

/**
 * Ends the dynos that ran out of memory as a whole. The kernel kills the largest process alone, and
 * when that is a child the engine lets the container go on and tells it by an event only
 * (spec/drivers.md §6); a dyno over its threshold is to be killed (R15, spec/dynos.md §11).
 */
export class MemoryEvents {
  readonly #docker: Docker;
  readonly #platform: string;
  #watchers = 0;
  #stream: Readable | undefined;
  #again: NodeJS.Timeout | undefined;
  #opening = false;
  #closed = false;

  constructor(docker: Docker, platform: string) {
    this.#docker = docker;
    this.#platform = platform;
  }

  /** Watches as long as somebody waits for a dyno: until the returned function is called. */
  watch(): () => void {
    this.#watchers++;
    void this.#open();
    return () => {
      if (--this.#watchers === 0) this.#end();
    };
  }

  /** Whether memory ran out in a container that has ended, as far as the engine remembers. */
  async ran(id: string, { startedAt, endedAt }: ExitResult): Promise<boolean> {
    // The engine takes whole seconds.
    const since = Math.floor(startedAt / 1000) - 1;
    const until = Math.ceil(endedAt / 1000) + 1;
    try {
      const events = await this.#events({ container: [id] }, { since, until });
      for await (const _ of events) {
        events.destroy();
        return true;
      }
    } catch {
      // An engine that can't say it now: the signal stands without its reason.
    }
    return false;
  }

  close(): void {
    this.#closed = true;
    this.#end();
  }

  async #open(): Promise<void> {
    if (this.#opening || this.#stream || this.#closed || this.#watchers === 0) return;
    this.#opening = true;
    try {
      // Also what happened while nobody watched.
      const stream = await this.#events({ label: [this.#label] }, { since: 1 });
      stream.once("close", () => this.#lost(stream));
      stream.on("error", () => stream.destroy());
      if (this.#closed || this.#watchers === 0) return void stream.destroy();
      this.#stream = stream;
      this.#read(stream);
    } catch {
      this.#lost(undefined);
    } finally {
      this.#opening = false;
    }
  }

  #read(stream: Readable): void {
    let rest = "";
    stream.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString("utf8")).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "") continue;
        const { Actor: actor } = JSON.parse(line) as { Actor: { ID: string } };
        // Refused for one that has ended; then there is nothing to end.
        void this.#docker
          .getContainer(actor.ID)
          .kill({ signal: "SIGKILL" })
          .catch(() => undefined);
      }
    });
  }

  /** The engine was restarted, or can't be reached. */
  #lost(stream: Readable | undefined): void {
    if (stream !== this.#stream) return;
    this.#stream = undefined;
    if (this.#closed || this.#watchers === 0) return;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => void this.#open(), AGAIN_MS).unref();
  }

  #end(): void {
    clearTimeout(this.#again);
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.destroy();
  }

  #events(
    filters: Readonly<Record<string, readonly string[]>>,
    range: { readonly since: number; readonly until?: number },
  ): Promise<Readable> {
    return this.#docker.getEvents({
      ...range,
      filters: { type: ["container"], event: ["oom"], ...filters } as never,
    }) as Promise<Readable>;
  }

  get #label(): string {
    return `${LABEL.platform}=${this.#platform}`;
  }
}
