import type { Duplex } from "node:stream";

/** TLS record type of a handshake, the first byte of every TLS connection (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16;

/** What a fresh connection speaks. */
export type FirstBytes =
  | { readonly protocol: "tls" | "http" }
  | { readonly protocol: "line"; readonly line: string }
  | { readonly protocol: "none" };

/**
 * Tells protocols apart by what the client sends first and puts the bytes back, so that the
 * next reader sees the connection from its beginning. A line that is no HTTP request line is
 * taken out and returned without its line end (spec/platform-api.md §1.3, §4).
 *
 * Resolves to `none` when the client closes, sends nothing recognisable within `maxLineBytes`,
 * or `signal` aborts.
 */
export function readFirstBytes(
  socket: Duplex,
  options: {
    /** Plain connections may be TLS; inside TLS a line may come. */
    readonly inside: "tcp" | "tls";
    readonly maxLineBytes: number;
    readonly signal: AbortSignal;
  },
): Promise<FirstBytes> {
  return new Promise((resolve) => {
    let buffered: Buffer = Buffer.alloc(0);
    const finish = (result: FirstBytes, rest: Buffer) => {
      socket.off("readable", onReadable);
      socket.off("end", onGone);
      socket.off("close", onGone);
      options.signal.removeEventListener("abort", onGone);
      if (rest.length > 0 && !socket.destroyed) socket.unshift(rest);
      resolve(result);
    };
    const onGone = () => finish({ protocol: "none" }, Buffer.alloc(0));
    const onReadable = () => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read())
        buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
      if (buffered.length === 0) return;
      if (options.inside === "tcp") {
        finish({ protocol: buffered[0] === TLS_HANDSHAKE ? "tls" : "http" }, buffered);
        return;
      }
      const end = buffered.indexOf(0x0a);
      if (looksLikeHttp(buffered)) finish({ protocol: "http" }, buffered);
      else if (end >= 0 && end <= options.maxLineBytes) {
        const line = buffered.subarray(0, end).toString("latin1").replace(/\r$/, "");
        finish({ protocol: "line", line }, buffered.subarray(end + 1));
      } else if (buffered.length > options.maxLineBytes) onGone();
    };
    socket.on("readable", onReadable);
    socket.once("end", onGone);
    socket.once("close", onGone);
    if (options.signal.aborted || socket.destroyed) onGone();
    else options.signal.addEventListener("abort", onGone, { once: true });
  });
}

/** A method of upper-case letters and a space: secrets hold no space. */
function looksLikeHttp(bytes: Buffer): boolean {
  for (const [index, byte] of bytes.subarray(0, 24).entries()) {
    if (byte === 0x20) return index > 0;
    if ((byte < 0x41 || byte > 0x5a) && byte !== 0x2d) return false;
  }
  return false;
}
