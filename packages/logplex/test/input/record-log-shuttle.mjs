// Runs the real log-shuttle and keeps the octets of its requests in fixtures/log-shuttle, one file per
// connection: `node record-log-shuttle.mjs path/to/log-shuttle`.
//
// The files here are those of log-shuttle 0.22.0 (github.com/heroku/log-shuttle at 4d516d9), built with Go
// 1.19 without the formatters of Kinesis and CloudWatch, whose libraries need a newer Go:
// `go build -ldflags '-X main.version=0.22.0' ./cmd/log-shuttle`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

const [program] = process.argv.slice(2);
if (program === undefined) throw new Error("Say where log-shuttle is: record-log-shuttle.mjs PATH");
const token = "t.0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60";
const directory = join(import.meta.dirname, "fixtures/log-shuttle");
mkdirSync(directory, { recursive: true });

/** Where a request ends: after the last chunk, which log-shuttle always sends. */
const END = "\r\n0\r\n\r\n";
const answer = "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";
const lines = (count, from = 1) =>
  Array.from({ length: count }, (_, index) => `line ${index + from}\n`).join("");
const syslog = (body) => `<134>1 2026-03-14T09:26:53.589793Z box app worker.2 ID7 - ${body}\n`;
const counted = (frame) => `${Buffer.byteLength(frame)} ${frame}`;

/** What goes in, and what the server does with each request in turn; it answers 204 after the last. */
const runs = {
  plain: { input: "Hello, log router\nnaïve café ☕\n\n\ttabs and  spaces \nno line feed" },
  batches: { args: ["-batch-size=5"], input: lines(12) },
  bearer: { args: [`-bearer-token=${token}`], input: lines(2) },
  gzip: { args: ["-gzip"], input: `before\n${"a".repeat(9_999)}é${"b".repeat(19_799)}\nafter\n` },
  rfc5424: { args: ["-input-format=rfc5424"], input: syslog("one") + syslog("two ☕") },
  counted: {
    args: ["-input-format=lprfc5424"],
    input: counted(syslog("one")) + counted(syslog("two ☕")),
  },
  // The first batch is lost with its connection, which the second tells of.
  lost: { args: ["-batch-size=3", "-max-attempts=1"], input: lines(6), deeds: ["close"] },
  // The same batch again, because the answer to the first request never came.
  retried: { args: ["-batch-size=3"], input: lines(3), deeds: ["close"] },
  // What comes while the first request hangs finds no room.
  dropped: {
    args: ["-batch-size=1", "-back-buff=1"],
    input: lines(1),
    deeds: ["hang"],
    later: lines(8, 2),
  },
};

for (const [name, { args = [], input, deeds = [], later }] of Object.entries(runs)) {
  const recorded = [];
  const left = [...deeds];
  let hangs;
  const hanging = new Promise((resolve) => {
    hangs = resolve;
  });
  const server = createServer((socket) => {
    const chunks = [];
    recorded.push(chunks);
    let from = 0;
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      const text = Buffer.concat(chunks).toString("latin1");
      for (let end = text.indexOf(END, from); end >= 0; end = text.indexOf(END, from)) {
        from = end + END.length;
        const deed = left.shift();
        if (deed === "close") socket.destroy();
        else if (deed === "hang") hangs(() => socket.write(answer));
        else socket.write(answer);
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}/logs`;
  const shared = [`-logs-url=${url}`, `-logplex-token=${token}`, "-procid=web.1", "-hostname=host"];
  const child = spawn(program, [...shared, "-num-outlets=1", ...args], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.stdin.write(input);
  if (later !== undefined) {
    const goOn = await hanging;
    child.stdin.write(later);
    // Nothing tells that log-shuttle has read it all.
    await new Promise((resolve) => setTimeout(resolve, 500));
    goOn();
  }
  child.stdin.end();
  await once(child, "exit");
  server.close();
  for (const [index, chunks] of recorded.entries())
    writeFileSync(join(directory, `${name}-${index + 1}.http`), Buffer.concat(chunks));
}
