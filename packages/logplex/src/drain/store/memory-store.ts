import type { DrainRecord, DrainStore } from "./drain-store.ts";

/** Records in memory: they outlive a drain, not the process. The default. */
export function memoryDrainStore(): DrainStore {
  const records = new Map<string, DrainRecord>();
  return {
    load: async (drain) => records.get(drain),
    save: async (drain, record) => {
      records.set(drain, record);
    },
    remove: async (drain) => {
      records.delete(drain);
    },
  };
}
