import { Logplex } from "@dynokit/logplex";

// 10,000 channels with a token and a few lines each; prints what the process takes then.
const logplex = new Logplex();
for (let number = 0; number < 10_000; number += 1) {
  logplex.createToken(`app-${number}`, "app");
  const lines = [1, 2, 3].map((line) =>
    Buffer.from(`line ${line} of app ${number} ${"x".repeat(100)}`),
  );
  await logplex.write({ channel: `app-${number}`, source: "app", proc: "web.1", lines, at: 0 });
}
const shown = logplex.channel("app-9999").history().length;
process.stdout.write(JSON.stringify({ rss: process.memoryUsage.rss(), shown }));
await logplex.close();
