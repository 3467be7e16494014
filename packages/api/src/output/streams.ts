import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  rmSync,
  type WriteStream,
} from "node:fs";
import { join } from "node:path";

const maxBytes = 16 * 1024 * 1024;

interface Live {
  readonly file: WriteStream;
  bytes: number;
  readonly wakers: Set<() => void>;
}

/**
 * The text that builds and release commands print. Kept in files, so a reader may come late, come
 * again or be slow. 16 MiB each at most; what is more is replaced by one line that says so.
 */
export class OutputStreams {
  readonly #directory: string;
  readonly #live = new Map<string, Live>();

  constructor(dataDirectory: string) {
    this.#directory = join(dataDirectory, "outputs");
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
  }

  #path(id: string): string {
    return join(this.#directory, `${id}.log`);
  }

  /** Starts a stream; readers get 404 before. */
  open(id: string): void {
    if (this.#live.has(id)) return;
    const file = createWriteStream(this.#path(id), { mode: 0o600 });
    // A full disk must not end the process; the reader gets what was written.
    file.on("error", () => {});
    this.#live.set(id, { file, bytes: 0, wakers: new Set() });
  }

  write(id: string, chunk: Uint8Array | string): void {
    const live = this.#live.get(id);
    if (!live || live.bytes > maxBytes) return;
    const bytes = Buffer.from(chunk);
    live.bytes += bytes.length;
    const text =
      live.bytes > maxBytes ? Buffer.from("\n ! Output above 16 MiB is not kept.\n") : bytes;
    live.file.write(text, () => {
      for (const wake of live.wakers) wake();
    });
  }

  /** Ends a stream after everything written is on disk. */
  async end(id: string): Promise<void> {
    const live = this.#live.get(id);
    if (!live) return;
    await new Promise<void>((resolve) => {
      live.file.once("error", () => resolve());
      live.file.end(() => resolve());
    });
    this.#live.delete(id);
    for (const wake of live.wakers) wake();
  }

  exists(id: string): boolean {
    return this.#live.has(id) || existsSync(this.#path(id));
  }

  remove(id: string): void {
    rmSync(this.#path(id), { force: true });
  }

  /** All of the text from an offset, then what follows until the stream ends or the signal aborts. */
  async *read(id: string, from = 0, signal?: AbortSignal): AsyncGenerator<Buffer> {
    let offset = from;
    while (!signal?.aborted) {
      const live = this.#live.get(id);
      let woken = () => {};
      const news = new Promise<void>((resolve) => {
        woken = resolve;
      });
      live?.wakers.add(woken);
      signal?.addEventListener("abort", woken);
      try {
        if (existsSync(this.#path(id)))
          for await (const chunk of createReadStream(this.#path(id), { start: offset })) {
            offset += (chunk as Buffer).length;
            yield chunk as Buffer;
            if (signal?.aborted) return;
          }
        if (!live) return;
        await news;
      } finally {
        live?.wakers.delete(woken);
        signal?.removeEventListener("abort", woken);
      }
    }
  }
}
