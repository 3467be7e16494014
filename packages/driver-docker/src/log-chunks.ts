import type { LogChunk } from "@dynokit/manifold";
import { type OutputFrame, parseRecord } from "./log-stream.ts";

/**
 * Where a reader is: the time of a record in nanoseconds, and its number among those of the same
 * time. The parts of a long line all have one time.
 */
export interface Position {
  readonly time: bigint;
  readonly number: number;
}

export function parsePosition(cursor: string): Position {
  const [time = "0", number = "0"] = cursor.split(":");
  return { time: BigInt(time), number: Number(number) };
}

/**
 * Records of the engine as chunks of lines, those up to `after` left out. The engine cuts lines at
 * 16 KiB and marks neither the cut nor, when a line ends exactly there, its end: the next record
 * tells, for a part of the same line has the same time.
 */
export async function* toChunks(
  frames: AsyncIterable<OutputFrame>,
  after: Position | undefined,
): AsyncGenerator<LogChunk> {
  let time = -1n;
  let number = 0;
  let held: (LogChunk & { readonly at: bigint }) | undefined;
  for await (const frame of frames) {
    const record = parseRecord(frame.bytes);
    number = record.cursor === time ? number + 1 : 0;
    time = record.cursor;
    if (held) {
      const continued = held.at === time && held.stream === frame.stream;
      const { at: _, ...chunk } = held;
      held = undefined;
      yield { ...chunk, partial: continued };
    }
    if (after && (time < after.time || (time === after.time && number <= after.number))) continue;
    const whole = record.bytes.at(-1) === 0x0a;
    const chunk: LogChunk = {
      stream: frame.stream,
      time: time === 0n ? Date.now() : Number(time / 1_000_000n),
      bytes: whole ? record.bytes.subarray(0, -1) : record.bytes,
      partial: !whole,
      cursor: `${time}:${number}`,
    };
    // A terminal's output has no records: there every chunk is passed on as it comes.
    if (whole || time === 0n) yield chunk;
    else held = { ...chunk, at: time };
  }
  if (held) {
    const { at: _, ...chunk } = held;
    yield chunk;
  }
}
