import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { Logplex } from "../../src/index.ts";
import { EXPORT_REQUEST } from "../../src/otlp/shapes.ts";
import { decodeMessage } from "../../src/otlp/wire.ts";
import { parseFrames, startReceiver, until } from "../drain/receiver.ts";
import { post } from "../support/http.ts";
import { HOSTILE } from "./hostile.ts";
import { startSyslog } from "./syslog-receiver.ts";

const directory = mkdtempSync(join(tmpdir(), "logplex-names-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const text = fc
  .array(fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ maxLength: 12 })), { maxLength: 5 })
  .map((parts) => parts.join(""));
/** Names as they ought to be, names that look like those of the platform, and anything. */
const name = fc.oneof(
  fc.constantFrom("app", "web.1", "run:bash/1", "heroku ", "heroku[router]", "router]: ", "", "-"),
  fc.constantFrom("heroku\0", "ＨＥＲＯＫＵ", "heroku\u200b", "héroku", `${"x".repeat(200)}heroku`),
  text,
);
const write = fc.record({
  source: name,
  proc: name,
  bodies: fc.array(text, { minLength: 1, maxLength: 3 }),
  streamed: fc.boolean(),
});

/** What a reader takes for the name of the writer. */
interface Shown {
  readonly source: string;
  readonly proc: string;
}

/** One display line. */
function ofDisplay(line: string): Shown {
  const [, source, , proc] =
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 ([^\s[\]]+?)(\[([^\s[\]]+)\])?: /.exec(line) ??
    [];
  expect(source, line).toBeDefined();
  return { source: source!, proc: proc ?? "" };
}

const ofFrame = (frame: string): Shown => {
  const [, , , source, proc] = frame.split(" ");
  return { source: source!, proc: proc === "-" ? "" : proc! };
};

const ofJson = (line: string): Shown => {
  const { source, procid } = JSON.parse(line);
  return { source, proc: procid };
};

/** Records of an OTLP request. */
function ofOtlp(request: unknown): Shown[] {
  const { resourceLogs } = request as {
    resourceLogs: { scopeLogs: { logRecords: Record<string, unknown>[] }[] }[];
  };
  return resourceLogs[0]!.scopeLogs[0]!.logRecords.map((record) => {
    const attributes = record["attributes"] as { key: string; value: { stringValue?: string } }[];
    const only = (key: string) => {
      const found = attributes.filter((one) => one.key === key);
      expect(found).toHaveLength(1);
      return found[0]!.value.stringValue ?? "";
    };
    return { source: only("log.source"), proc: only("dyno") };
  });
}

test("every output names the writer that wrote, whatever it is called and whatever it writes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(write, { minLength: 1, maxLength: 4 }), async (writes) => {
      const path = join(directory, `${Math.random()}.ndjson`);
      const logplex = new Logplex({
        drains: { policy: { allowInsecure: true, allowPrivate: true, allowLocal: true } },
      });
      const http = (await logplex.listen({ http: { port: 0 } })).http!;
      const receiver = await startReceiver();
      const syslog = await startSyslog();
      try {
        const at = `http://127.0.0.1:${receiver.port}`;
        await logplex.addDrain("a", `${at}/keep`);
        await logplex.addDrain("a", `${at}/escape`, { multiline: "escape" });
        await logplex.addDrain("a", `ndjson+${at}/ndjson`);
        await logplex.addDrain("a", `loki+${at}/loki`);
        await logplex.addDrain("a", `otlp+${at}/otlp`);
        await logplex.addDrain("a", `otlp+${at}/protobuf`, { encoding: "protobuf" });
        await logplex.addDrain("a", `syslog://127.0.0.1:${syslog.port}`);
        await logplex.addDrain("a", `file://${path}`);
        const channel = logplex.channel("a");
        // Who wrote each message, as the router's own books say.
        const wanted: Shown[] = [];
        for (const { source, proc, bodies, streamed } of writes) {
          const before = channel.nextSeq;
          if (streamed) {
            const stream = channel.stream({ source, procid: proc });
            await new Promise<void>((resolve) => stream.end(`${bodies.join("\n")}\n`, resolve));
          } else {
            const lines = bodies.map((body) => Buffer.from(body));
            await logplex.write({ channel: "a", source, proc, lines, at: 0 });
          }
          for (const message of channel.read(before, 1000).messages) {
            const { source: from, procid } = message;
            // A name that is fit is kept, any other is no other writer's: never that of the platform.
            if (/^[\x21-\x5a\x5e-\x7e]{1,128}$/.test(source)) expect(from).toBe(source);
            else expect(from).not.toMatch(/^(heroku|app)$/);
            if (/^[\x21-\x5a\x5e-\x7e]{0,128}$/.test(proc)) expect(procid).toBe(proc);
            else expect(procid).not.toMatch(/^(router|api|logplex|web\.1)$/);
            wanted.push({ source: from, proc: procid });
          }
        }
        await until(
          () => logplex.drains().every(({ id }) => logplex.ledger(id).pending === 0),
          "all drains",
        );
        const read = async (accept: string) => {
          const { path: session } = logplex.createSession("a", { lines: 1000 });
          return (await post(http, session, "", { Accept: accept }, "GET")).text();
        };
        const lines = (shown: string) => shown.split("\n").slice(0, -1);
        /** Without the lines of a message after its first. */
        const perMessage = (shown: readonly Shown[]) => {
          const messages = channel.read(1, 1000).messages;
          let line = 0;
          return messages.map(({ body }) => {
            const own = Buffer.from(body).toString().split("\n").length;
            const part = shown.slice(line, line + own);
            line += own;
            expect(new Set(part.map(({ source, proc }) => `${source} ${proc}`)).size).toBe(1);
            return part[0];
          });
        };
        const plain = lines(await read("text/plain")).map(ofDisplay);
        expect(perMessage(plain)).toEqual(wanted);
        const events = (await read("text/event-stream"))
          .split("\n")
          .filter((line) => line.startsWith("data: "))
          .map((line) => ofDisplay(line.slice("data: ".length)));
        expect(events).toEqual(plain);
        expect(lines(await read("application/x-ndjson")).map(ofJson)).toEqual(wanted);

        const bodies = (url: string) =>
          receiver.requests.filter((one) => one.url === url).map(({ body }) => body);
        const cut = (shown: Shown, source: number): Shown => ({
          source: shown.source.slice(0, source),
          // `-` is how syslog says that there is none.
          proc: shown.proc === "-" ? "" : shown.proc,
        });
        const full = wanted.map((shown) => cut(shown, 128));
        expect(parseFrames(Buffer.concat(bodies("/keep"))).map(ofFrame)).toEqual(full);
        expect(
          lines(Buffer.concat(bodies("/escape")).toString()).map((line) =>
            ofFrame(line.replace(/^\d+ /, "")),
          ),
        ).toEqual(full);
        // RFC 5424 has 48 octets for the name.
        expect(parseFrames(syslog.octets()).map(ofFrame)).toEqual(
          wanted.map((shown) => cut(shown, 48)),
        );
        expect(lines(Buffer.concat(bodies("/ndjson")).toString()).map(ofJson)).toEqual(wanted);
        expect(lines(readFileSync(path, "utf8")).map(ofJson)).toEqual(wanted);
        expect(bodies("/otlp").flatMap((body) => ofOtlp(JSON.parse(body.toString())))).toEqual(
          wanted,
        );
        expect(
          bodies("/protobuf").flatMap((body) => ofOtlp(decodeMessage(EXPORT_REQUEST, body))),
        ).toEqual(wanted);
        const streams = bodies("/loki").flatMap((body) => JSON.parse(body.toString()).streams);
        const key = ({ source, proc }: Shown) => `${source}\0${proc}`;
        const inLoki = streams.flatMap(({ stream, values }) => {
          expect(stream.app).toBe("a");
          return values.map(() => key({ source: stream.source, proc: stream.dyno ?? "" }));
        });
        const byName = (one: string, other: string) => (one < other ? -1 : 1);
        expect(inLoki.sort(byName)).toEqual(wanted.map(key).sort(byName));
      } finally {
        await logplex.close({ timeoutMs: 0 });
        await receiver.close();
        syslog.close();
      }
    }),
    { numRuns: 15 },
  );
});

test("a token can't be named like another source with a process", () => {
  const logplex = new Logplex();
  for (const bad of ["heroku[router]", "a b", "a\\", "", "é", "x".repeat(65)])
    expect(() => logplex.createToken("a", bad), bad).toThrow(/not usable as a source/);
  expect(logplex.createToken("a", "heroku-postgres")).toMatch(/^t\./);
});
