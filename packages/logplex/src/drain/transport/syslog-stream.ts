import type { Socket } from "node:net";
import type { Clock } from "../../clock.ts";
import type { Resolve } from "../net/lookup.ts";
import type { DrainPolicy } from "../net/policy.ts";
import type { DrainTarget } from "../url.ts";
import { outcomeOfError, SendTimeout } from "./errors.ts";
import { HTTP_TIMEOUTS, type HttpTimeouts } from "./http.ts";
import { ResendTail } from "./resend-tail.ts";
import { ConnectError, openSocket, type SocketOptions } from "./stream-socket.ts";
import type { DrainTls } from "./tls.ts";
import type { DrainTransport, OutgoingFrame, ProbeReport, SendOutcome } from "./transport.ts";

/** What a syslog transport on TCP or TLS is made with. */
export interface StreamTransportOptions {
  readonly target: DrainTarget;
  readonly policy: DrainPolicy;
  readonly clock: Clock;
  readonly random: () => number;
  readonly resolve: Resolve;
  readonly tls?: DrainTls;
  readonly timeouts?: Partial<HttpTimeouts>;
}

/** Reconnects in vain after which the tail waits for the next message. */
const MAX_RESENDS = 5;

/**
 * Octet-counted syslog over TCP or TLS (spec/logplex.md §9.5). A frame counts as delivered when the
 * system took it; what was written last goes out again after an abnormal close.
 */
export function createStreamTransport(options: StreamTransportOptions): DrainTransport {
  return new StreamTransport(options);
}

class StreamTransport implements DrainTransport {
  readonly #options: StreamTransportOptions;
  readonly #socketOptions: SocketOptions;
  readonly #timeouts: HttpTimeouts;
  readonly #tail = new ResendTail();
  readonly #stop = new AbortController();
  #socket: Socket | undefined;
  #since = 0;
  #resend = false;
  #resends = 0;
  #busy: Promise<unknown> = Promise.resolve();
  #idleTimer: unknown;
  #resendTimer: unknown;

  constructor(options: StreamTransportOptions) {
    this.#options = options;
    this.#timeouts = { ...HTTP_TIMEOUTS, ...options.timeouts };
    const { target, policy, clock, resolve, tls } = options;
    this.#socketOptions = {
      target,
      policy,
      clock,
      resolve,
      connectMs: this.#timeouts.connectMs,
      ...(tls ? { tls } : {}),
    };
  }

  async send(frame: OutgoingFrame, signal: AbortSignal): Promise<SendOutcome> {
    return this.#alone(async () => {
      const { clock, random } = this.#options;
      clock.clearTimeout(this.#idleTimer);
      clock.clearTimeout(this.#resendTimer);
      if (this.#socket && clock.now() - this.#since >= this.#timeouts.maxAgeMs) await this.#end();
      try {
        const socket = await this.#ensure(signal);
        await this.#write(socket, frame.body, signal);
      } catch (error) {
        return this.#failure(error, signal);
      }
      this.#tail.add(frame);
      this.#resends = 0;
      const idleMs = this.#timeouts.idleMs * (0.9 + random() * 0.2);
      if (!this.#stop.signal.aborted) {
        this.#idleTimer = clock.setTimeout(() => void this.#alone(() => this.#end()), idleMs);
      }
      return { kind: "delivered", flushed: true };
    });
  }

  async probe(frame: OutgoingFrame, signal: AbortSignal): Promise<ProbeReport> {
    const { clock } = this.#options;
    const started = clock.now();
    try {
      const open = await openSocket(this.#socketOptions, signal);
      const { socket, ...seen } = open;
      socket.on("error", () => undefined);
      try {
        await this.#write(socket, frame.body, signal);
        return { outcome: { kind: "delivered" }, ...seen, latencyMs: clock.now() - started };
      } finally {
        socket.end();
        socket.resume();
      }
    } catch (error) {
      return {
        outcome: this.#outcome(error, signal),
        addresses: [],
        certificates: error instanceof ConnectError ? error.certificates : [],
        latencyMs: clock.now() - started,
      };
    }
  }

  preview(): string {
    return "";
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#options.clock.clearTimeout(this.#idleTimer);
    this.#options.clock.clearTimeout(this.#resendTimer);
    await this.#alone(() => this.#end());
  }

  /** One use of the connection at a time. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#busy.then(work);
    this.#busy = next.catch(() => undefined);
    return next;
  }

  async #ensure(signal: AbortSignal): Promise<Socket> {
    if (this.#socket) return this.#socket;
    const { socket } = await openSocket(this.#socketOptions, signal);
    this.#socket = socket;
    this.#since = this.#options.clock.now();
    socket.on("error", () => undefined);
    // Whatever the peer says is ignored; reading it is what shows its end.
    socket.on("data", () => undefined);
    socket.on("end", () => this.#broken(socket));
    socket.on("close", () => this.#broken(socket));
    if (this.#resend && this.#tail.size > 0) await this.#write(socket, this.#tail.bytes, signal);
    this.#resend = false;
    return socket;
  }

  /** The connection ended though we did not end it. */
  #broken(socket: Socket): void {
    socket.destroy();
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    this.#resend = this.#tail.size > 0;
    const { clock } = this.#options;
    clock.clearTimeout(this.#idleTimer);
    if (!this.#resend || this.#resends >= MAX_RESENDS || this.#stop.signal.aborted) return;
    const delayMs = Math.min(30_000, 1000 * 2 ** this.#resends++);
    clock.clearTimeout(this.#resendTimer);
    this.#resendTimer = clock.setTimeout(() => void this.#alone(() => this.#sendTail()), delayMs);
  }

  async #sendTail(): Promise<void> {
    if (!this.#resend || this.#stop.signal.aborted) return;
    try {
      await this.#ensure(this.#stop.signal);
    } catch {
      // The next message reports the failure; until then try again a few times.
      if (this.#resends < MAX_RESENDS && !this.#stop.signal.aborted) {
        const delayMs = Math.min(30_000, 1000 * 2 ** this.#resends++);
        this.#resendTimer = this.#options.clock.setTimeout(
          () => void this.#alone(() => this.#sendTail()),
          delayMs,
        );
      }
    }
  }

  #write(socket: Socket, bytes: Buffer, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    return new Promise((resolve, reject) => {
      const settle = (error?: Error | null) => {
        clock.clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        socket.off("close", onClose);
        if (error) reject(error);
        else resolve();
      };
      const onAbort = () => settle(new Error("aborted"));
      const onClose = () => settle(Object.assign(new Error("closed"), { code: "EPIPE" }));
      const timer = clock.setTimeout(
        () => settle(new SendTimeout("did not take the messages in time")),
        this.#timeouts.totalMs,
      );
      signal.addEventListener("abort", onAbort, { once: true });
      socket.once("close", onClose);
      if (socket.destroyed) onClose();
      else socket.write(bytes, (error) => settle(error));
    });
  }

  /**
   * Ends the connection in order. When the peer answers with its own end, everything written has
   * arrived and need not be sent again.
   */
  async #end(): Promise<void> {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = undefined;
    const { clock } = this.#options;
    const clean = await new Promise<boolean>((resolve) => {
      const timer = clock.setTimeout(() => resolve(false), this.#timeouts.firstByteMs);
      const settle = (result: boolean) => {
        clock.clearTimeout(timer);
        resolve(result);
      };
      socket.once("end", () => settle(true));
      socket.once("error", () => settle(false));
      socket.once("close", () => settle(false));
      socket.end();
    });
    socket.destroy();
    if (clean) this.#tail.clear();
    else this.#resend = this.#tail.size > 0;
  }

  #failure(error: unknown, signal: AbortSignal): SendOutcome {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
    this.#resend = this.#tail.size > 0;
    return this.#outcome(error, signal);
  }

  #outcome(error: unknown, signal: AbortSignal): SendOutcome {
    if (signal.aborted) return { kind: "aborted" };
    if (!(error instanceof ConnectError)) return outcomeOfError(error);
    const outcome = outcomeOfError(error.cause);
    const [certificate] = error.certificates;
    return outcome.kind === "certificate" && certificate ? { ...outcome, certificate } : outcome;
  }
}
