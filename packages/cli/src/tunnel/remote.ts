import { createHash, timingSafeEqual } from "node:crypto";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectSecure, type TLSSocket } from "node:tls";
import { trusted } from "../client/trust.ts";
import { CliError } from "../errors.ts";

/** The platform at the far end of a tunnel. */
export interface RemoteOptions {
  readonly url: URL;
  /** PEM of an authority to trust beside Node's own. */
  readonly authority?: string | undefined;
  /** `sha256/<base64>` of the public key (SPKI): only this key is accepted, whoever signed it. */
  readonly pin?: string | undefined;
}

const connectMs = 15_000;

export class Remote {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  readonly #options: RemoteOptions;
  readonly #pin: Buffer | undefined;

  /** @throws CliError `usage` for a pin that is none. */
  constructor(options: RemoteOptions) {
    const { url, pin } = options;
    this.#options = options;
    this.secure = url.protocol === "https:";
    this.host = url.hostname.replace(/^\[(.*)\]$/, "$1");
    this.port = Number(url.port || (this.secure ? 443 : 80));
    if (pin === undefined) return;
    const digest = /^sha256\/([A-Za-z0-9+/]{43}=)$/.exec(pin)?.[1];
    if (digest === undefined)
      throw new CliError("usage", `--pin is "${pin}": give sha256/ and 44 characters of base64.`);
    if (!this.secure)
      throw new CliError("usage", "--pin needs an https:// address; http:// has no key.");
    this.#pin = Buffer.from(digest, "base64");
  }

  /** A connection for bytes as they are. */
  plain(): Promise<Socket> {
    const socket = connectPlain({ host: this.host, port: this.port });
    return settled(socket, "connect");
  }

  /** A connection whose other end is known to be the platform. */
  async encrypted(): Promise<TLSSocket> {
    const ca = trusted(this.#options.authority);
    const socket = connectSecure({
      host: this.host,
      port: this.port,
      ALPNProtocols: ["http/1.1"],
      ...(isIP(this.host) ? {} : { servername: this.host }),
      ...(ca ? { ca } : {}),
      // With a pin the key decides, below, before a byte is sent.
      rejectUnauthorized: this.#pin === undefined,
    });
    await settled(socket, "secureConnect");
    const found = this.#pin && digestOf(socket);
    if (this.#pin && !(found && timingSafeEqual(found, this.#pin))) {
      socket.destroy();
      throw new CliError(
        "unreachable",
        `The key of ${this.host}:${this.port} is not the pinned one. It has sha256/${found?.toString("base64") ?? ""}.`,
      );
    }
    return socket;
  }
}

/** SHA-256 of the public key that the other side proved to have. */
function digestOf(socket: TLSSocket): Buffer | undefined {
  const key = socket.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "der" });
  return key && createHash("sha256").update(key).digest();
}

function settled<T extends Socket>(socket: T, event: "connect" | "secureConnect"): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => socket.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" }));
    const failed = (error: Error) => reject(error);
    socket.setTimeout(connectMs, late);
    socket.once("error", failed);
    socket.once(event, () => {
      socket.setTimeout(0);
      socket.off("timeout", late);
      socket.off("error", failed);
      socket.on("error", () => undefined); // `close` follows and ends the pair.
      resolve(socket);
    });
  });
}
