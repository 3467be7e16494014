import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DriverError, LogBuffer, type LogChunk } from "../../src/index.ts";

async function read(
  buffer: LogBuffer,
  options?: Parameters<LogBuffer["read"]>[0],
): Promise<LogChunk[]> {
  const chunks: LogChunk[] = [];
  for await (const chunk of buffer.read(options)) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks: readonly LogChunk[]) =>
  chunks.map(({ bytes }) => Buffer.from(bytes).toString());

describe("a log buffer", () => {
  it("gives each reader every line, however the stream was cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.stringMatching(/^[a-zäé€ ]{0,12}$/)),
        fc.array(fc.nat(40)),
        async (lines, cuts) => {
          const buffer = new LogBuffer();
          const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
          let at = 0;
          for (const cut of cuts) {
            buffer.push("stdout", bytes.subarray(at, at + cut));
            at = Math.min(bytes.length, at + cut);
          }
          buffer.push("stdout", bytes.subarray(at));
          buffer.end();
          expect(textOf(await read(buffer))).toEqual(lines);
          expect(textOf(await read(buffer))).toEqual(lines);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("drops the oldest lines above its bound and says how many", async () => {
    const buffer = new LogBuffer({ maxBytes: 10 * 70 });
    for (let index = 0; index < 100; index++) buffer.push("stdout", Buffer.from(`line ${index}\n`));
    buffer.end();
    const [notice, ...lines] = await read(buffer);
    expect(notice?.stream).toBe("notice");
    const lost = Number(/\d+/.exec(textOf([notice as LogChunk])[0] ?? "")?.[0]);
    expect(lost + lines.length).toBe(100);
    expect(lines.length).toBeLessThanOrEqual(10);
    expect(textOf(lines).at(-1)).toBe("line 99");
  });

  it("goes on after a cursor, and after what was acknowledged", async () => {
    const buffer = new LogBuffer();
    buffer.push("stdout", Buffer.from("one\ntwo\nthree\n"));
    buffer.end();
    const [one, two] = await read(buffer);
    expect(textOf(await read(buffer, { since: (one as LogChunk).cursor }))).toEqual([
      "two",
      "three",
    ]);
    buffer.acknowledge((two as LogChunk).cursor);
    expect(textOf(await read(buffer))).toEqual(["three"]);
    expect(textOf(await read(buffer, { since: (one as LogChunk).cursor }))).toEqual(["three"]);
    buffer.acknowledge("nonsense");
    buffer.acknowledge("99");
    expect(await read(buffer)).toEqual([]);
  });

  it("lets a reader wait, and ends it on abort", async () => {
    const buffer = new LogBuffer();
    const abort = new AbortController();
    const reader = buffer.read({ signal: abort.signal });
    const first = reader.next();
    buffer.push("stderr", Buffer.from("late\n"));
    expect((await first).value?.stream).toBe("stderr");
    const second = reader.next();
    abort.abort();
    expect((await second).done).toBe(true);
  });

  it("refuses a cursor of another driver", async () => {
    const failure = await read(new LogBuffer(), { since: "segment:7" }).catch(
      (error: unknown) => error,
    );
    expect(DriverError.is(failure) && failure.code).toBe("invalid-spec");
  });
});
