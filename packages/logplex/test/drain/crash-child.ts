// A process with one drain that the test kills in the middle of a batch.
import { DrainSet, fileDrainStore } from "../../src/drain/index.ts";
import { createMemorySource } from "../../src/testing/memory-source.ts";

const [port, directory, id, token, count] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];

// The same messages in every run, as a channel on disk would have them.
const source = createMemorySource({ now: () => 1_773_480_413_000, epoch: "1" });
source.append(...Array.from({ length: Number(count) }, (_, index) => `line ${index + 1}`));
const drains = new DrainSet({
  source: () => source,
  policy: { allowInsecure: true, allowPrivate: true },
  store: fileDrainStore(directory),
});
await drains.add("app", `http://127.0.0.1:${port}/`, {
  id,
  token,
  fromSeq: 1,
  batch: { messages: 7, lingerMs: 0 },
});
const timer = setInterval(() => {
  const ledger = drains.ledger(id);
  if (ledger.pending > 0) return;
  clearInterval(timer);
  void drains.close().then(() => process.stdout.write(`${JSON.stringify(ledger)}\n`));
}, 5);
