import type { DynoDriver, LogChunk } from "../driver/contract.ts";
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
  dyno: { readonly app: string; readonly name: string; readonly id: string },
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
      host.logger.error(
        { dyno: dyno.name, app: dyno.app, error: messageOf(error) },
        "log sink failed",
      );
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
    if (!signal.aborted) {
      host.logger.warn(
        { dyno: dyno.name, app: dyno.app, error: messageOf(error) },
        "output of the dyno ended early",
      );
    }
  }
  await flush();
}
