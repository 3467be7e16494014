import { type FileHandle, open } from "node:fs/promises";
import type { DrainTransport, SendOutcome } from "./transport.ts";

/** Appends to a file of the operator; it is opened for each batch, so log rotation just works. */
export function createFileTransport(path: string): DrainTransport {
  const write = async (body: Buffer): Promise<SendOutcome> => {
    let file: FileHandle | undefined;
    try {
      file = await open(path, "a", 0o640);
      await file.writeFile(body);
      return { kind: "delivered" };
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
      return { kind: "temporary", reason: `could not be written (${code})` };
    } finally {
      await file?.close();
    }
  };
  return localTransport(write);
}

/** Writes to a stream such as the standard output. */
export function createWriterTransport(stream: NodeJS.WritableStream): DrainTransport {
  return localTransport(
    (body) =>
      new Promise((resolve) => {
        stream.write(body, (error) =>
          resolve(
            error ? { kind: "temporary", reason: "could not be written" } : { kind: "delivered" },
          ),
        );
      }),
  );
}

function localTransport(write: (body: Buffer) => Promise<SendOutcome>): DrainTransport {
  return {
    send: (frame) => write(frame.body),
    async probe(frame) {
      return { outcome: await write(frame.body), addresses: [], certificates: [], latencyMs: 0 };
    },
    preview: () => "",
    close: async () => undefined,
  };
}
