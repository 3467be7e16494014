import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import WebSocket from "ws";
import { run } from "../../src/cli/run.ts";
import { type ListenAddress, Logplex } from "../../src/index.ts";
import { bodyOf, parseFrames, type Receiver, startReceiver, until } from "../drain/receiver.ts";
import { basic, frames, post } from "../support/http.ts";
import { HOSTILE } from "./hostile.ts";
import { startSyslog } from "./syslog-receiver.ts";

const text = fc
  .array(fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ maxLength: 12 })), { maxLength: 6 })
  .map((parts) => parts.join(""));
/** One word of a header: everything but a space. */
const word = text.map((one) => one.replaceAll(" ", "_") || "-");
const script = fc.record({
  bodies: fc.array(text, { minLength: 1, maxLength: 4 }),
  names: fc.array(word, { minLength: 4, maxLength: 4 }),
  proc: text,
});

/** A display line of the app, and nothing else. */
const OF_APP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 app(\[[^\]\n]*\])?: /;
/** Everything that some reader takes for the end of a line. */
const ANY_LINE_END = /\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]/;
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/;

function expectDisplay(shown: string): void {
  expect(shown).not.toMatch(CONTROLS);
  for (const line of shown.split("\n").slice(0, -1)) expect(line).toMatch(OF_APP);
  expect(shown.endsWith("\n")).toBe(true);
}

function expectNdjson(shown: string, count: number): void {
  const lines = shown.split(ANY_LINE_END).filter((line) => line !== "");
  expect(lines).toHaveLength(count);
  for (const line of lines) expect(JSON.parse(line)).toMatchObject({ source: "app" });
  expect(shown).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
}

/** Reads server-sent events as the standard says. */
function expectEvents(shown: string, count: number): void {
  let messages = 0;
  for (const event of shown.split("\n\n").filter((one) => one !== "")) {
    const fields = event.split(/\r\n|\n|\r/).map((line) => /^(\w+): ?([\s\S]*)$/.exec(line));
    const names = fields.map((field) => field?.[1]);
    if (names[0] === "retry") continue;
    expect(names[0]).toBe("id");
    messages += 1;
    expect(fields[0]?.[2]).toBe(String(messages));
    for (const field of fields.slice(1)) {
      expect(field?.[1]).toBe("data");
      expect(field?.[2]).toMatch(OF_APP);
    }
  }
  expect(messages).toBe(count);
}

/** Frames by their count; HOSTNAME and APP-NAME are the third and fourth word. */
function expectFrames(octets: Buffer, count: number, host = "host"): void {
  const found = parseFrames(octets);
  expect(found).toHaveLength(count);
  for (const frame of found) {
    expect(frame).toMatch(/^<\d{1,3}>1 [\x21-\x7e]+ [\x21-\x7e]+ app [\x21-\x7e]+ [\x21-\x7e]+ /);
    expect(frame.split(" ")[2]).toBe(host);
    expect(frame.endsWith("\n")).toBe(true);
  }
}

async function command(...args: string[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const code = await run(args, {
    out: (chunk) => chunks.push(Buffer.from(chunk)),
    error: () => undefined,
    env: {},
    onSignal: () => undefined,
  });
  expect(code).toBe(0);
  return Buffer.concat(chunks);
}

async function overSocket(http: ListenAddress, path: string, protocol: string): Promise<string[]> {
  const socket = new WebSocket(`ws://${http.host}:${http.port}${path}`, protocol);
  const got: string[] = [];
  socket.on("message", (data) => got.push(String(data)));
  await once(socket, "close");
  return got;
}

interface Inputs {
  readonly logplex: Logplex;
  readonly http: ListenAddress;
  readonly syslog: ListenAddress;
  readonly udp: ListenAddress;
}

/** Sends the same hostile texts over every input with the token of an app. */
async function send(
  { logplex, http, syslog, udp }: Inputs,
  { bodies, names, proc }: { bodies: string[]; names: string[]; proc: string },
): Promise<void> {
  const token = logplex.createToken("a", "app");
  const as = (type: string) => ({ ...basic("token", token), "Content-Type": type });
  const [host, app, procid, msgid] = names;
  const sd = '[id@1 a="x\\]"]';
  const syslogLines = bodies.map(
    (body) => `<158>1 2026-03-14T09:26:53Z ${host} ${app} ${procid} ${msgid} ${sd} ${body}`,
  );
  const answers = [
    await post(
      http,
      "/logs",
      frames(...syslogLines, ...bodies.map((body) => `!${body}`)),
      as("application/logplex-1"),
    ),
    await post(
      http,
      "/logs",
      bodies
        .map((message) => JSON.stringify({ message, procid: proc, source: "heroku", host, msgid }))
        .join("\n"),
      as("application/x-ndjson"),
    ),
    await post(
      http,
      `/logs?procid=${encodeURIComponent(proc)}`,
      `text\n${bodies.join("\n")}\n`,
      as("text/plain"),
    ),
    await post(
      http,
      "/v1/logs",
      JSON.stringify({
        resourceLogs: [
          {
            resource: { attributes: [{ key: "service.name", value: { stringValue: proc } }] },
            scopeLogs: [
              {
                logRecords: bodies.map((body) => ({
                  body: { stringValue: body },
                  attributes: [{ key: "log.source", value: { stringValue: "heroku" } }],
                })),
              },
            ],
          },
        ],
      }),
      as("application/json"),
    ),
  ];
  for (const answer of answers) expect([200, 204]).toContain(answer.status);
  const own = bodies.map((body) => `<158>1 - ${host} ${token} ${procid} ${msgid} - ${body}`);
  const socket = connect(syslog.port, syslog.host);
  socket.end(frames(...own));
  await once(socket.resume(), "close");
  const before = logplex.channel("a").nextSeq;
  const datagram = createSocket("udp4");
  datagram.send(own[0]!, udp.port, udp.host);
  await until(() => logplex.channel("a").nextSeq > before, "the datagram");
  datagram.close();
  const lines = bodies.map((body) => Buffer.from(body));
  await logplex.write({ channel: "a", source: "app", proc: "web.1", lines, at: 0 });
}

test("whatever an app writes, every output shows it as the app's", async () => {
  const directory = mkdtempSync(join(tmpdir(), "logplex-injection-"));
  try {
    await fc.assert(
      fc.asyncProperty(script, async (hostile) => {
        const path = join(directory, `${Math.random()}.ndjson`);
        const logplex = new Logplex({
          retention: { lines: 10_000 },
          drains: { policy: { allowInsecure: true, allowPrivate: true, allowLocal: true } },
        });
        const opened = await logplex.listen({
          http: { port: 0, api: true },
          syslog: { port: 0 },
          udp: { port: 0 },
        });
        const http = opened.http!;
        const receiver: Receiver = await startReceiver();
        const syslog = await startSyslog();
        try {
          const at = `http://127.0.0.1:${receiver.port}`;
          await logplex.addDrain("a", `${at}/keep`);
          await logplex.addDrain("a", `${at}/escape`, { multiline: "escape" });
          await logplex.addDrain("a", `${at}/split`, { multiline: "split" });
          await logplex.addDrain("a", `ndjson+${at}/ndjson`);
          await logplex.addDrain("a", `loki+${at}/loki`);
          await logplex.addDrain("a", `otlp+${at}/otlp`);
          const strict = await logplex.addDrain("a", `syslog://127.0.0.1:${syslog.port}`);
          await logplex.addDrain("a", `file://${path}`);
          await send({ logplex, http, syslog: opened.syslog!, udp: opened.udp! }, hostile);
          await until(
            () => logplex.drains().every(({ id }) => logplex.ledger(id).pending === 0),
            "all drains",
          );
          const count = logplex.channel("a").nextSeq - 1;
          const session = () => logplex.createSession("a", { lines: 10_000 }).path;
          const read = async (accept: string) =>
            (await post(http, session(), "", { Accept: accept }, "GET")).text();
          expectDisplay(await read("text/plain"));
          expectEvents(await read("text/event-stream"), count);
          expectNdjson(await read("application/x-ndjson"), count);
          const shown = await overSocket(http, session(), "logplex.text");
          expect(shown).toHaveLength(count);
          expectDisplay(`${shown.join("\n")}\n`);
          expectNdjson((await overSocket(http, session(), "logplex.json")).join("\n"), count);

          const { id, password } = logplex.createCredential({ permissions: ["full_api"] });
          const url = `http://${id}:${password}@127.0.0.1:${http.port}`;
          const query = ["query", "a", "source:app OR source:heroku", "-n", "10000", "--url", url];
          expectDisplay((await command(...query)).toString());
          expectNdjson((await command(...query, "--json")).toString(), count);
          expectFrames(await command(...query, "--raw"), count);

          const bodies = (name: string) =>
            Buffer.concat(
              receiver.requests.filter((one) => one.url === name).map((one) => one.body),
            );
          expectFrames(bodies("/keep"), count);
          const escaped = bodies("/escape");
          expectFrames(escaped, count);
          // Even to a receiver that does not count, each line is one message.
          for (const line of escaped.toString().split("\n").slice(0, -1))
            expect(line).toMatch(/^\d+ <\d{1,3}>1 \S+ host app /);
          const parts = parseFrames(bodies("/split"));
          for (const part of parts) {
            expect(part).toMatch(/^<\d{1,3}>1 \S+ host app /);
            expect(bodyOf(part)).not.toContain("\n");
          }
          expectFrames(syslog.octets(), count, strict.token);
          expectNdjson(bodies("/ndjson").toString(), count);
          expectNdjson(readFileSync(path, "utf8"), count);
          for (const request of receiver.requests.filter((one) => one.url === "/loki"))
            for (const { stream } of JSON.parse(request.body.toString()).streams)
              expect(stream).toMatchObject({ app: "a", source: "app" });
          for (const request of receiver.requests.filter((one) => one.url === "/otlp"))
            for (const record of JSON.parse(request.body.toString()).resourceLogs[0].scopeLogs[0]
              .logRecords)
              expect(
                record.attributes.filter((one: { key: string }) => one.key === "log.source"),
              ).toEqual([{ key: "log.source", value: { stringValue: "app" } }]);
        } finally {
          await logplex.close({ timeoutMs: 0 });
          await receiver.close();
          syslog.close();
        }
      }),
      { numRuns: 12 },
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
