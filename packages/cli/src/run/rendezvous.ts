import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { trusted } from "../client/trust.ts";
import { CliError } from "../errors.ts";
import { type InputStream, readConsole } from "./console-input.ts";
import { ExitMarker } from "./exit-marker.ts";

export interface AttachOptions {
  readonly input: InputStream;
  readonly output: NodeJS.WritableStream;
  /** The dyno has a terminal and so have we. */
  readonly tty: boolean;
  /** PEM of an authority to trust beside Node's own. */
  readonly authority?: string | undefined;
  /** Ctrl-C outside raw mode: the client goes, and the dyno gets SIGHUP. */
  readonly signal: AbortSignal;
  /** In ms since the epoch. */
  readonly now: () => number;
}

const greeting = Buffer.from("rendezvous\r\n");
const endOfInput = 0x04;
const interrupt = 0x03;
/** Without a byte in either direction for this long the platform has forgotten us. */
const idleMs = 3_600_000;

/**
 * Joins this terminal with an attached one-off dyno (spec/platform-api.md §4) and resolves with the
 * exit status of its command, when that ended.
 *
 * @throws CliError `unreachable`, `cancelled`, or `failed` when the connection ended before.
 */
export async function attachTo(url: string, options: AttachOptions): Promise<number> {
  const target = new URL(url);
  if (target.protocol !== "rendezvous:")
    throw new CliError(
      "failed",
      `The platform asks to attach over ${target.protocol}// which dynokit does not speak.`,
    );
  const socket = await open(target, options);
  const secret = `${target.pathname.slice(1)}${target.search}`;
  return join(socket, secret, options);
}

function open(target: URL, options: AttachOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const host = target.hostname.replace(/^\[(.*)\]$/, "$1");
    const ca = trusted(options.authority);
    const socket = connect({
      host,
      port: Number(target.port || 5000),
      ...(isIP(host) ? {} : { servername: host }),
      ...(ca ? { ca } : {}),
    });
    const failed = (cause: Error & { code?: string }) => {
      const trust = /CERT|SIGNED|TLS|ISSUER|ALTNAME/.test(cause.code ?? "");
      const advice = trust
        ? "Name the platform's CA file with `dynokit login --ca`, --ca, DYNOKIT_CA or NODE_EXTRA_CA_CERTS."
        : "Attaching needs a connection to that address.";
      reject(
        new CliError(
          "unreachable",
          `The dyno cannot be reached at ${target.host} (${cause.code ?? cause.message}). ${advice}`,
          { cause },
        ),
      );
    };
    socket.once("error", failed);
    socket.once("secureConnect", () => {
      socket.off("error", failed);
      resolve(socket);
    });
  });
}

function join(socket: TLSSocket, secret: string, options: AttachOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const marker = new ExitMarker();
    let began = false;
    let early = Buffer.alloc(0);
    let stopInput = () => {};
    const write = (bytes: Uint8Array | string) =>
      new Promise<void>((done) => {
        socket.write(bytes, () => done());
      });
    const show = (bytes: Buffer) => {
      if (bytes.length > 0 && options.output.write(bytes) === false) {
        socket.pause();
        options.output.once("drain", () => socket.resume());
      }
    };
    const abort = () => socket.destroy();
    if (options.signal.aborted) abort();
    socket.setNoDelay(true);
    socket.setTimeout(idleMs, abort);
    options.signal.addEventListener("abort", abort, { once: true });
    const interrupts = new Interrupts(options.now);
    socket.on("data", (chunk: Buffer) => {
      if (began) return show(marker.push(chunk));
      // The first record says "up"; whatever shares it with the greeting is output.
      early = Buffer.concat([early, chunk]);
      if (early.length < greeting.length) return;
      began = true;
      const rest = early.indexOf(greeting) === 0 ? early.subarray(greeting.length) : early;
      if (rest.length > 0) show(marker.push(rest));
      stopInput = readConsole(options.input, options.tty, {
        data: async (bytes) => {
          if (options.tty && interrupts.tooMany(bytes)) abort();
          else await write(bytes);
        },
        // A record of its own (§4 item 8): the writes before it are through by now.
        end: () => write(Buffer.of(endOfInput)),
      });
    });
    socket.on("error", () => undefined); // `close` follows, and says it.
    socket.on("close", () => {
      stopInput();
      options.signal.removeEventListener("abort", abort);
      show(marker.flush());
      if (marker.status !== undefined) resolve(marker.status);
      else if (options.signal.aborted || interrupts.reached)
        reject(new CliError("cancelled", "Disconnected from the dyno.", { exitStatus: 130 }));
      else
        reject(
          new CliError(
            "failed",
            began
              ? "The connection ended before the command did; its exit status is not known."
              : "The platform closed the connection: the dyno did not start, or waited too long.",
          ),
        );
    });
    socket.write(`${secret}\r\n`);
  });
}

/** Four Ctrl-C within a second mean the client and not the dyno (§4 item 7). */
class Interrupts {
  reached = false;
  readonly #now: () => number;
  #times: number[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  tooMany(bytes: Uint8Array): boolean {
    const now = this.#now();
    for (const byte of bytes) if (byte === interrupt) this.#times.push(now);
    this.#times = this.#times.filter((time) => now - time <= 1000).slice(-4);
    this.reached = this.#times.length >= 4;
    return this.reached;
  }
}
