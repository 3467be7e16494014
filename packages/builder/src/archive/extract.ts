import { createGunzip } from "node:zlib";
import { type ReadEntry, Unpack } from "tar";
import { BuilderError } from "../errors.ts";
import { EntryGuard } from "./entry-guard.ts";
import { linkText } from "./link-text.ts";

/** Bounds of {@link extractArchive}; see `BuilderLimits`. */
export interface ExtractLimits {
  readonly maxUnpackedBytes: number;
  readonly maxFiles: number;
  readonly maxRatio: number;
}

/** Below this many unpacked bytes the ratio says nothing: a small file of zeros is harmless. */
const RATIO_FREE_BYTES = 1024 * 1024;

/**
 * Unpacks an untrusted tar, gzipped or not, into an empty directory. The source is always
 * left finished or closed.
 *
 * Streams with bounded memory. Nothing is ever written through a link, owners and times of the
 * archive are ignored, modes become 755 or 644.
 *
 * @throws BuilderError `unsafe-archive`, `too-large`, `bad-archive`, `cancelled`
 */
export async function extractArchive(
  source: AsyncIterable<Uint8Array>,
  into: string,
  limits: ExtractLimits,
  signal?: AbortSignal,
): Promise<void> {
  const guard = new EntryGuard();
  let failure: unknown;
  let files = 0;
  let declared = 0;
  const fail = (error: unknown) => {
    failure ??= error;
  };

  const unpack = new Unpack({
    cwd: into,
    strict: true,
    preserveOwner: false,
    noMtime: true,
    chmod: true,
    processUmask: 0o022,
    // Compression is undone before; a tar that holds another stream is no source.
    brotli: false,
    zstd: false,
    filter: (_path, entry) => {
      if (failure !== undefined) return false;
      try {
        const read = entry as ReadEntry;
        files += 1;
        declared += read.size;
        if (files > limits.maxFiles) throw tooLarge("entries", limits.maxFiles, "maxFiles");
        if (declared > limits.maxUnpackedBytes)
          throw tooLarge("bytes when unpacked", limits.maxUnpackedBytes, "maxUnpackedBytes");
        guard.check(read);
        const { path, type, linkpath } = read;
        if (linkpath) read.linkpath = linkText({ path, type, linkpath });
        const executable = read.type === "Directory" || ((read.mode ?? 0) & 0o111) !== 0;
        read.mode = executable ? 0o755 : 0o644;
        return true;
      } catch (error) {
        fail(error);
        return false;
      }
    },
  });
  let stop = () => {};
  const finished = new Promise<void>((resolve) => {
    stop = () => {
      fail(cancelled());
      resolve();
    };
    signal?.addEventListener("abort", stop, { once: true });
    unpack.on("close", resolve);
    unpack.on("end", resolve);
    unpack.on("error", (error: unknown) => {
      fail(
        new BuilderError(
          "bad-archive",
          `The archive can't be read: ${reason(error)}. Send a tar, gzipped or not.`,
          { cause: error },
        ),
      );
      resolve();
    });
  });

  let unpacked = 0;
  let first = true;
  try {
    for await (const chunk of decompress(source, signal)) {
      unpacked += chunk.bytes.length;
      if (first && chunk.bytes[0] === 0x1f && chunk.bytes[1] === 0x8b)
        throw new BuilderError(
          "bad-archive",
          "The archive is gzipped twice. Send it gzipped once.",
        );
      first = false;
      // Headers and padding count too, or an archive of empty entries would have no bound.
      if (unpacked > limits.maxUnpackedBytes + limits.maxFiles * 1024)
        throw tooLarge("bytes when unpacked", limits.maxUnpackedBytes, "maxUnpackedBytes");
      if (unpacked > RATIO_FREE_BYTES && unpacked > chunk.packed * limits.maxRatio)
        throw tooLarge("times its packed size", limits.maxRatio, "maxRatio");
      if (!unpack.write(chunk.bytes))
        await Promise.race([new Promise((resolve) => unpack.once("drain", resolve)), finished]);
      if (failure !== undefined) throw failure;
    }
  } catch (error) {
    fail(error);
  }
  if (failure === undefined) {
    unpack.end();
    await finished;
  }
  signal?.removeEventListener("abort", stop);
  if (failure !== undefined) {
    unpack.abort(new Error("refused"));
    throw failure;
  }
  if (files === 0)
    throw new BuilderError(
      "bad-archive",
      "The archive is empty or not a tar. Send the app's files.",
    );
}

/** Yields plain bytes together with how many packed ones have been read so far. */
async function* decompress(
  source: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<{ bytes: Uint8Array; packed: number }> {
  const iterator = source[Symbol.asyncIterator]();
  let packed = 0;
  const next = async (): Promise<Uint8Array | undefined> => {
    const result = await iterator.next();
    if (result.done) return undefined;
    packed += result.value.length;
    return result.value;
  };
  try {
    let chunk = await next();
    if (chunk?.[0] !== 0x1f || chunk[1] !== 0x8b) {
      for (; chunk !== undefined; chunk = await next()) {
        throwIfAborted(signal);
        yield { bytes: chunk, packed };
      }
      return;
    }
    const gunzip = createGunzip({ chunkSize: 256 * 1024 });
    const feed = (async () => {
      for (let bytes: Uint8Array | undefined = chunk; bytes !== undefined; bytes = await next()) {
        if (gunzip.destroyed) return;
        if (!gunzip.write(bytes))
          await new Promise<void>((resolve) => {
            gunzip.once("drain", resolve);
            gunzip.once("close", resolve);
          });
      }
      gunzip.end();
    })();
    feed.catch((error: unknown) => gunzip.destroy(error as Error));
    try {
      for await (const bytes of gunzip) {
        throwIfAborted(signal);
        yield { bytes: bytes as Buffer, packed };
      }
    } catch (error) {
      if (BuilderError.is(error)) throw error;
      throw new BuilderError(
        "bad-archive",
        `The archive can't be decompressed: ${reason(error)}. It may have been cut on the way.`,
        { cause: error },
      );
    } finally {
      gunzip.destroy();
      // The reader leaves at its next chunk; nothing may touch the source after we return.
      await feed.catch(() => undefined);
    }
  } finally {
    await iterator.return?.();
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled();
}

function cancelled(): BuilderError {
  return new BuilderError("cancelled", "The build was cancelled.");
}

function tooLarge(what: string, limit: number, name: string): BuilderError {
  return new BuilderError(
    "too-large",
    `The archive has more than ${limit} ${what}. Leave files out, or raise \`limits.${name}\`.`,
    { details: { limit, name } },
  );
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
