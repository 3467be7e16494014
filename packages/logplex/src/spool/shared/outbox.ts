import type { StoredMessage } from "../../message.ts";
import type { SpoolLevel } from "../buffer.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import { Pending } from "./pending.ts";

/** What waits to be stored by an engine that several processes share, and who waits for it. */
export class Outbox {
  readonly pending: Pending;
  readonly acknowledgements: Acknowledgements;
  /** False: what is stored need only pass through. */
  keeping = true;
  readonly #faults: { failedWrites: number };
  readonly #send: () => void;

  constructor(
    options: ConstructorParameters<typeof Acknowledgements>[0] &
      ConstructorParameters<typeof Pending>[0],
    faults: { failedWrites: number },
    send: () => void,
  ) {
    this.pending = new Pending(options);
    this.acknowledgements = new Acknowledgements(options);
    this.#faults = faults;
    this.#send = send;
  }

  /** Takes messages as far as there is room and has them sent. Returns how many were refused. */
  append(messages: readonly StoredMessage[]): number {
    const kept = this.pending.add(messages);
    this.acknowledgements.appended(kept);
    this.#send();
    const refused = messages.length - kept;
    if (refused > 0) this.#faults.failedWrites += 1;
    return refused;
  }

  /** Settles when all that was taken is stored; undefined: it is. */
  flushed(level: SpoolLevel = "local"): Promise<void> | undefined {
    return this.acknowledgements.wait(level);
  }

  /** What waits gets as long as a write would. */
  async drain(): Promise<void> {
    try {
      await this.flushed();
    } catch {
      // Told to those who wrote it.
    }
  }
}
