import type { ReadStream } from "node:tty";

/** Where a session reads from; `process.stdin` fits. */
export type InputStream = NodeJS.ReadableStream & {
  readonly isTTY?: boolean;
  setRawMode?: ReadStream["setRawMode"];
  unref?(): unknown;
};

export interface InputHandlers {
  /** Resolves when the bytes are on their way; the next are read only then. */
  readonly data: (bytes: Buffer) => Promise<void>;
  readonly end: () => Promise<void>;
}

/**
 * Reads until `stop`, on a terminal key by key (raw mode: Ctrl-C is a byte like any other). The
 * terminal is what it was before when `stop` returns.
 */
export function readConsole(input: InputStream, raw: boolean, handlers: InputHandlers): () => void {
  let stopped = false;
  let work = Promise.resolve();
  const onData = (chunk: Buffer | string) => {
    input.pause();
    work = work
      .then(() => handlers.data(Buffer.from(chunk as Buffer)))
      .then(() => {
        if (!stopped) input.resume();
      })
      .catch(() => undefined); // The other side is gone; its end is reported elsewhere.
  };
  const onEnd = () => {
    work = work.then(() => handlers.end()).catch(() => undefined);
  };
  if (raw) input.setRawMode?.(true);
  input.on("data", onData);
  input.on("end", onEnd);
  input.resume();
  return () => {
    if (stopped) return;
    stopped = true;
    input.off("data", onData);
    input.off("end", onEnd);
    input.pause();
    input.unref?.();
    if (raw) input.setRawMode?.(false);
  };
}
