import { isDynoId } from "../../driver/check-spec.ts";
import type { DriverEvent } from "../../driver/contract.ts";
import { DriverError } from "../../driver/errors.ts";
import type { Message } from "./connection.ts";
import { DynoClient } from "./dyno-client.ts";
import { dynoDirectory, isLive, readStatus } from "./records.ts";

/** The dynos that this driver has to do with, by id; those of others are found by their directories. */
export class Clients {
  readonly #stateDirectory: string;
  readonly #tell: (event: DriverEvent) => void;
  readonly #known = new Map<string, DynoClient>();

  constructor(stateDirectory: string, tell: (event: DriverEvent) => void) {
    this.#stateDirectory = stateDirectory;
    this.#tell = tell;
  }

  /** A dyno that was started now. */
  add(id: string): void {
    this.#known.set(id, this.#newClient(id));
  }

  find(id: string): DynoClient | undefined {
    const known = this.#known.get(id);
    if (known) return known;
    if (!isDynoId(id)) return undefined;
    if (!readStatus(dynoDirectory(this.#stateDirectory, id))) return undefined;
    const client = this.#newClient(id);
    this.#known.set(id, client);
    return client;
  }

  /** @throws DriverError `not-found`. */
  get(id: string): DynoClient {
    const client = this.find(id);
    if (!client) throw DriverError.notFound(id);
    return client;
  }

  /** @throws DriverError `not-found` for a dyno that has ended too. */
  live(id: string): DynoClient {
    const client = this.get(id);
    if (!client.status || !isLive(client.status)) throw DriverError.notFound(id);
    return client;
  }

  /** Lets go of a dyno. */
  forget(id: string): void {
    this.#known.get(id)?.close();
    this.#known.delete(id);
  }

  close(): void {
    for (const client of this.#known.values()) client.close();
    this.#known.clear();
  }

  #newClient(id: string): DynoClient {
    const client = new DynoClient(id, dynoDirectory(this.#stateDirectory, id));
    client.onEvent = (message) => this.#onEvent(id, message);
    client.connect().catch(() => {
      // Ended at once; whoever waits reads its status.
    });
    return client;
  }

  #onEvent(id: string, message: Message): void {
    const at = message.at ?? Date.now();
    if (message.event === "oom") this.#tell({ type: "oom", id, at });
    else if (message.event === "notice")
      this.#tell({ type: "notice", id, at, message: message.message ?? "" });
  }
}
