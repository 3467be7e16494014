import { PassThrough } from "node:stream";
import pc from "picocolors";
import { expect, test } from "vitest";
import { parseEvents } from "../../src/client/events.ts";
import { Printer } from "../../src/local/printer.ts";
import { paintLogLine } from "../../src/output/log-line.ts";
import { table } from "../../src/output/table.ts";

const terminal = (columns: number, interactive: boolean) => ({
  out: () => undefined,
  err: () => undefined,
  colour: pc.createColors(false),
  interactive,
  columns,
});

test("a table fits a terminal and is never cut in a pipe", () => {
  const rows = [["web.1", "a very long command that goes on and on"]];
  expect(table(terminal(20, true), ["Dyno", "Command"], rows)).toBe(
    "Dyno   Command\nweb.1  a very long …",
  );
  expect(table(terminal(20, false), ["Dyno", "Command"], rows)).toContain("on and on");
});

test("events may be cut anywhere, end with CR LF, and comments are no events", async () => {
  const text = ": hb\r\n\r\nid: 7\r\nevent: dyno\r\ndata: one\r\ndata: two\r\n\r\n";
  for (const size of [1, 2, 3, 1000]) {
    async function* chunks() {
      for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
    }
    const events = [];
    for await (const event of parseEvents(chunks())) events.push(event);
    expect(events).toEqual([{ id: "7", type: "dyno", data: "one\ntwo" }]);
  }
});

test("log lines are coloured by process and never changed", () => {
  const coloured = { ...terminal(80, true), colour: pc.createColors(true) };
  const line = "2026-01-01T00:00:00.000000+00:00 heroku[web.1]: Error R10 (Boot timeout) -> x";
  const painted = paintLogLine(line, coloured);
  expect(painted).not.toBe(line);
  expect(painted.replaceAll(/\u001b\[\d+m/g, "")).toBe(line);
  expect(paintLogLine("free text", coloured)).toBe("free text");
});

test("a slow reader slows the writer, and one that is gone does not", async () => {
  const output = new PassThrough({ highWaterMark: 8 });
  const printer = new Printer({
    output,
    colour: pc.createColors(false),
    prefix: true,
    timestamps: false,
    verbose: false,
    width: 5,
  });
  const batch = {
    channel: "shop",
    source: "app",
    proc: "web.1",
    lines: [Buffer.from("hello\r")],
    at: 0,
  };
  const waiting = printer.write(batch);
  expect(waiting).toBeInstanceOf(Promise);
  expect(String(output.read())).toBe("web.1 | hello\n");
  await waiting;
  printer.end();
  expect(printer.write(batch)).toBeUndefined();
});
