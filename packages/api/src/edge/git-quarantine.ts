import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** Pushes to one repository that are under way, and the cleaning that the next ones wait for. */
interface Lane {
  pushes: number;
  cleaning: Promise<void> | undefined;
}

/**
 * Removes what pushes that broke off had sent. git keeps what it receives apart until it takes it,
 * and leaves that lying when it is killed, as its own server program does to it when a client
 * goes. Whatever lies there while no push is under way is such a rest.
 */
export class Quarantines {
  readonly #lanes = new Map<string, Lane>();

  /** Announces a push; resolves to what has to be called, and waited for, when its git has ended. */
  async enter(repository: string): Promise<() => Promise<void>> {
    const lane = this.#lanes.get(repository) ?? { pushes: 0, cleaning: undefined };
    this.#lanes.set(repository, lane);
    lane.pushes += 1;
    while (lane.cleaning !== undefined) await lane.cleaning;
    return () => this.#leave(repository, lane);
  }

  async #leave(repository: string, lane: Lane): Promise<void> {
    lane.pushes -= 1;
    if (lane.pushes > 0) return;
    lane.cleaning = clean(repository).finally(() => {
      lane.cleaning = undefined;
      if (lane.pushes === 0) this.#lanes.delete(repository);
    });
    await lane.cleaning;
  }

  /** Cleans every repository in a directory, as at a start: an earlier process may have died. */
  async sweep(directory: string, signal: AbortSignal): Promise<void> {
    for (const name of await readdir(directory).catch(() => [])) {
      if (signal.aborted) return;
      if (name.endsWith(".git")) await (await this.enter(join(directory, name)))();
    }
  }
}

async function clean(repository: string): Promise<void> {
  const objects = join(repository, "objects");
  for (const name of await readdir(objects).catch(() => []))
    if (name.startsWith("tmp_objdir-"))
      await rm(join(objects, name), { recursive: true, force: true });
}
