import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Clock } from "../../clock.ts";
import { pinnedLookup, type Resolve, type ResolvedAddress, resolveChecked } from "../net/lookup.ts";
import type { DrainPolicy } from "../net/policy.ts";
import type { DrainTarget } from "../url.ts";
import { SendTimeout } from "./errors.ts";
import { certificatesOf, type DrainTls, tlsOptions } from "./tls.ts";
import type { CertificateFacts } from "./transport.ts";

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
    await Promise.race([ready(socket, target.tls), failure]);
    socket.setKeepAlive(true, 30_000);
    socket.setNoDelay(true);
    const protocol = target.tls ? (socket as TLSSocket).getProtocol() : null;
    return {
      socket,
      addresses,
      certificates: target.tls ? certificatesOf(socket as TLSSocket) : [],
      ...(protocol === null ? {} : { tlsProtocol: protocol }),
    };
  } catch (error) {
    const certificates = socket && target.tls ? shownBy(socket as TLSSocket) : [];
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

function shownBy(socket: TLSSocket): CertificateFacts[] {
  try {
    return certificatesOf(socket);
  } catch {
    // The handshake ended before a certificate came.
    return [];
  }
}
