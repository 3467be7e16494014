import PQueue from "p-queue";
import { ApiError } from "../errors.ts";

/** One lane for each app: what is put into it runs one after the other. */
export class AppQueues {
  readonly #lanes = new Map<string, PQueue>();
  readonly #maxWaiting: number;

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  /** @throws ApiError `conflict` when too many operations of the app wait already. */
  async run<T>(appId: string, work: () => Promise<T>): Promise<T> {
    let lane = this.#lanes.get(appId);
    if (!lane) {
      lane = new PQueue({ concurrency: 1 });
      this.#lanes.set(appId, lane);
    }
    if (lane.size >= this.#maxWaiting)
      throw new ApiError(
        "conflict",
        `${lane.size} operations of this app wait already. Try again when they are done.`,
      );
    try {
      return (await lane.add(work)) as T;
    } finally {
      if (lane.size === 0 && lane.pending === 0 && this.#lanes.get(appId) === lane)
        this.#lanes.delete(appId);
    }
  }
}
