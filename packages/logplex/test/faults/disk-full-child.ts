import { diskBuffer, Logplex, LogplexError } from "@dynokit/logplex";

// Writes numbered lines until the disk takes no more, and says which were acknowledged.
const logplex = new Logplex({ buffer: diskBuffer(process.argv[2]!) });
let refused = 0;
for (let number = 1; refused < 20; number += 1) {
  const lines = [Buffer.from(`line ${number} ${"x".repeat(500)}`)];
  try {
    await logplex.write({ channel: "a", source: "app", proc: "web.1", lines, at: Date.now() });
    process.stdout.write(`${number}\n`);
  } catch (error) {
    if (!LogplexError.is(error) || error.code !== "storage-failed") throw error;
    refused += 1;
  }
}
const shown = logplex.channel("a").history({ limit: 5 }).length;
process.stdout.write(`refused ${refused}, history shows ${shown}\n`);
await logplex.close();
