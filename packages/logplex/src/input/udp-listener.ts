import { createSocket, type Socket } from "node:dgram";
import type { InputDialect } from "../frame/syslog-parser.ts";
import { FrameIngest } from "./frame-ingest.ts";
import { destinationOf, type Ingress, resolver } from "./ingress.ts";

/** Options of a syslog listener over UDP; one datagram is one message. */
export interface UdpListenOptions {
  /** Default 514; 0 chooses a free one. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** A token that all datagrams are bound to; default: APP-NAME carries the token. */
  readonly token?: string;
  /** Default `auto`. */
  readonly dialect?: InputDialect;
}

/** Takes syslog over UDP; what is over budget or unknown is dropped and counted. */
export class UdpListener {
  readonly #options: UdpListenOptions;
  readonly #ingress: Ingress;
  readonly #socket: Socket;
  #closed = false;

  constructor(ingress: Ingress, options: UdpListenOptions) {
    this.#ingress = ingress;
    this.#options = options;
    const { host = "127.0.0.1" } = options;
    this.#socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  }

  open(): Promise<{ host: string; port: number }> {
    const { host = "127.0.0.1", port = 514, token } = this.#options;
    const { clock, tokens, counters, budgets } = this.#ingress;
    const resolve = resolver(this.#ingress);
    const bound = token === undefined ? undefined : tokens.find(token);
    let sender = bound?.id;
    const ingest = new FrameIngest({
      dialect: this.#options.dialect,
      bound: bound === undefined ? undefined : destinationOf(this.#ingress, bound),
      resolve: (appName) => {
        sender = appName;
        return resolve(appName);
      },
      onAccepted: (channel, messages, bytes) =>
        counters.accept("udp", channel.class, messages, bytes),
    });
    this.#socket.on("message", (datagram) => {
      if (!this.#ingress.switches.ingress || datagram.length === 0) return;
      if (sender !== undefined && (budgets.of(sender)?.take(1, datagram.length) ?? 0) > 0) {
        counters.rejected.budget += 1;
        return;
      }
      ingest.begin(datagram, clock.now() * 1000, tokens.version);
      ingest.frame(datagram, 0, datagram.length, false);
      ingest.flush();
      counters.rejected.unknown_token += ingest.rejected;
      ingest.reset();
    });
    return new Promise((resolveOpen, reject) => {
      this.#socket.once("error", reject);
      this.#socket.bind(port, host, () => {
        this.#socket.off("error", reject);
        // Later errors are of single datagrams.
        this.#socket.on("error", () => {});
        const address = this.#socket.address();
        resolveOpen({ host: address.address, port: address.port });
      });
    });
  }

  /** Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }
}
