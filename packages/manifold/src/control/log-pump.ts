import type { DynoDriver, LogChunk, LogLines } from "../driver/contract.ts";
import type { LogSink } from "../types.ts";
import type { Host } from "./host.ts";
import { messageOf } from "./host.ts";

const maxLines = 128;
const maxBytes = 64 * 1024;

interface Pending {
  source: "app" | "heroku";
  at: number;
  bytes: number;
  cursor: string;
  lines: Uint8Array[];
}

/**
 * Carries the output of one dyno to the sink in batches. The next lines are read only when the
 * sink took the last ones, so that a slow sink slows the dyno (or makes the driver drop and say
 * so) and never fills the manifold. Resolves when the output ended.
 */
export async function pumpLogs(
  host: Host,
  sink: LogSink,
  driver: DynoDriver,
  dyno: Dyno,
  signal: AbortSignal,
): Promise<void> {
  const lines = driver.logLines?.(dyno.id, { signal });
  if (lines) await pumpBatches(host, sink, driver, dyno, lines, signal);
  else await pumpLines(host, sink, driver, dyno, signal);
}

type Dyno = { readonly app: string; readonly name: string; readonly id: string };

/** The driver makes the batches. */
async function pumpBatches(
  host: Host,
  sink: LogSink,
  driver: DynoDriver,
  dyno: Dyno,
  output: AsyncIterable<LogLines>,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const batch of output) {
      const { stream, time, bytes, starts, ends, count } = batch;
      const head = {
        channel: dyno.app,
        source: stream === "notice" ? "heroku" : "app",
        proc: dyno.name,
        at: time,
      };
      try {
        const written = sink.writeBlock
          ? sink.writeBlock({ ...head, bytes, starts, ends, count })
          : sink.write({ ...head, lines: linesOf(batch) });
        if (written !== undefined) await written;
      } catch (error) {
        sinkFailed(host, dyno, error);
      }
      driver.acknowledge?.(dyno.id, batch.cursor);
    }
  } catch (error) {
    if (!signal.aborted) endedEarly(host, dyno, error);
  }
}

/** Lines of their own, over one copy: the sink may keep them. */
function linesOf({ bytes, starts, ends, count }: LogLines): Uint8Array[] {
  const from = starts[0] as number;
  const copy = Buffer.from(bytes.subarray(from, ends[count - 1]));
  const lines: Uint8Array[] = [];
  for (let one = 0; one < count; one++)
    lines.push(copy.subarray((starts[one] as number) - from, (ends[one] as number) - from));
  return lines;
}

function sinkFailed(host: Host, { app, name }: Dyno, error: unknown): void {
  host.logger.error({ dyno: name, app, error: messageOf(error) }, "log sink failed");
}

function endedEarly(host: Host, { app, name }: Dyno, error: unknown): void {
  host.logger.warn({ dyno: name, app, error: messageOf(error) }, "output of the dyno ended early");
}

/** Makes the batches of a driver that gives its lines one by one. */
async function pumpLines(
  host: Host,
  sink: LogSink,
  driver: DynoDriver,
  dyno: Dyno,
  signal: AbortSignal,
): Promise<void> {
  let since: string | undefined;
  let pending: Pending | undefined;
  let writing: Promise<void> | undefined;
  let scheduled: NodeJS.Immediate | undefined;

  const write = async (batch: Pending) => {
    try {
      await sink.write({
        channel: dyno.app,
        source: batch.source,
        proc: dyno.name,
        lines: batch.lines,
        at: batch.at,
      });
    } catch (error) {
      sinkFailed(host, dyno, error);
    }
    since = batch.cursor;
    driver.acknowledge?.(dyno.id, batch.cursor);
  };
  const flush = async () => {
    if (scheduled) clearImmediate(scheduled);
    scheduled = undefined;
    while (writing !== undefined) await writing;
    const batch = pending;
    if (!batch) return;
    pending = undefined;
    writing = write(batch).finally(() => {
      writing = undefined;
    });
    await writing;
  };
  const add = (chunk: LogChunk, source: Pending["source"]) => {
    pending ??= { source, at: chunk.time, bytes: 0, cursor: chunk.cursor, lines: [] };
    pending.lines.push(chunk.bytes);
    pending.bytes += chunk.bytes.byteLength;
    pending.cursor = chunk.cursor;
  };

  try {
    for await (const chunk of driver.logs!(dyno.id, {
      ...(since !== undefined && { since }),
      signal,
    })) {
      const source = chunk.stream === "notice" ? "heroku" : "app";
      if (pending && pending.source !== source) await flush();
      add(chunk, source);
      if (pending!.lines.length >= maxLines || pending!.bytes >= maxBytes) await flush();
      else if (writing !== undefined) await writing;
      // Lines that arrive in the same turn go together.
      else scheduled ??= setImmediate(() => void flush());
    }
  } catch (error) {
    if (!signal.aborted) endedEarly(host, dyno, error);
  }
  await flush();
}
