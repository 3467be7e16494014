import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Clock } from "../../clock.ts";
import { pinnedLookup, type Resolve, type ResolvedAddress, resolveChecked } from "../net/lookup.ts";
import type { DrainPolicy } from "../net/policy.ts";
import type { DrainTarget } from "../url.ts";
import { SendTimeout } from "./errors.ts";
import { type DrainTls, tlsOptions, watchPeer } from "./tls.ts";
import type { CertificateFacts } from "./transport.ts";

/** How long a peer with TLS 1.3 may take to show that it is content with us. */
const ACCEPT_WAIT_MS = 250;

/** What it takes to open a connection of a syslog drain. */
export interface SocketOptions {
  readonly target: DrainTarget;
  readonly policy: DrainPolicy;
  readonly clock: Clock;
  readonly resolve: Resolve;
  readonly tls?: DrainTls;
  readonly connectMs: number;
}

/** An open connection and what was learnt on the way. */
export interface OpenSocket {
  readonly socket: Socket;
  readonly addresses: readonly ResolvedAddress[];
  readonly certificates: readonly CertificateFacts[];
  readonly tlsProtocol?: string;
}

/** Carries the chain of a peer whose verification failed. */
export class ConnectError extends Error {
  readonly certificates: readonly CertificateFacts[];

  constructor(cause: unknown, certificates: readonly CertificateFacts[]) {
    super("connect failed", { cause });
    this.certificates = certificates;
  }
}

/** Resolves, checks and connects. Rejects with {@link ConnectError}. */
export async function openSocket(options: SocketOptions, signal: AbortSignal): Promise<OpenSocket> {
  const { target, policy, clock, resolve } = options;
  let socket: Socket | undefined;
  let certificates: readonly CertificateFacts[] = [];
  let timer: unknown;
  let onAbort: (() => void) | undefined;
  const failure = new Promise<never>((_, reject) => {
    timer = clock.setTimeout(
      () => reject(new SendTimeout("could not connect in time")),
      options.connectMs,
    );
    onAbort = () => reject(new Error("aborted"));
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  failure.catch(() => undefined);
  try {
    const addresses = await Promise.race([resolveChecked(target.host, policy, resolve), failure]);
    const common = { host: target.host, port: target.port, lookup: pinnedLookup(addresses) };
    socket = target.tls
      ? connectTls({ ...common, ...tlsOptions(target, options.tls) })
      : connectTcp(common);
    if (target.tls)
      watchPeer(socket as TLSSocket, (chain) => {
        certificates = chain;
      });
    await Promise.race([ready(socket, target.tls), failure]);
    const protocol = target.tls ? (socket as TLSSocket).getProtocol() : null;
    if (protocol === "TLSv1.3") await Promise.race([accepted(socket, clock), failure]);
    socket.setKeepAlive(true, 30_000);
    socket.setNoDelay(true);
    return {
      socket,
      addresses,
      certificates,
      ...(protocol === null ? {} : { tlsProtocol: protocol }),
    };
  } catch (error) {
    socket?.on("error", () => undefined);
    socket?.destroy();
    throw new ConnectError(error, certificates);
  } finally {
    clock.clearTimeout(timer);
    if (onAbort) signal.removeEventListener("abort", onAbort);
  }
}

function ready(socket: Socket, secure: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(secure ? "secureConnect" : "connect", () => {
      socket.off("error", reject);
      resolve();
    });
    socket.once("error", reject);
  });
}

/**
 * With TLS 1.3 a client is ready before the peer has looked at its certificate, or missed one. The
 * tickets that follow show that it is content; a peer that sends none is waited for in vain, shortly.
 */
function accepted(socket: Socket, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      clock.clearTimeout(timer);
      for (const event of ["session", "end", "close"]) socket.off(event, onWord);
      socket.off("error", settle);
      if (error === undefined) resolve();
      else reject(error);
    };
    // Later, since Node keeps back what is written while it still reads the ticket.
    const onWord = (): void => void setImmediate(settle);
    const timer = clock.setTimeout(onWord, ACCEPT_WAIT_MS);
    for (const event of ["session", "end", "close"]) socket.once(event, onWord);
    socket.once("error", settle);
    // What is not read is not seen, and what the peer says is ignored in any case.
    socket.resume();
  });
}
