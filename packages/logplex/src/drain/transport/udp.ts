import { createSocket, type Socket } from "node:dgram";
import type { Clock } from "../../clock.ts";
import { type Resolve, type ResolvedAddress, resolveChecked } from "../net/lookup.ts";
import type { DrainPolicy } from "../net/policy.ts";
import type { DrainTarget } from "../url.ts";
import { outcomeOfError } from "./errors.ts";
import type { DrainTransport, OutgoingFrame, ProbeReport, SendOutcome } from "./transport.ts";

/** What a UDP transport is made with. */
export interface UdpTransportOptions {
  readonly target: DrainTarget;
  readonly policy: DrainPolicy;
  readonly clock: Clock;
  readonly resolve: Resolve;
}

/** Largest datagram that IPv4 carries. */
const MAX_DATAGRAM = 65_507;
/** How long an address is used before the name is asked again. */
const ADDRESS_MS = 60_000;

/**
 * One datagram per message, without acknowledgement: delivered means handed to the system. Messages
 * that no datagram holds are counted as rejected.
 */
export function createUdpTransport(options: UdpTransportOptions): DrainTransport {
  const { target, policy, clock, resolve } = options;
  let socket: Socket | undefined;
  let address: ResolvedAddress | undefined;
  let addresses: readonly ResolvedAddress[] = [];
  let askedAt = Number.NEGATIVE_INFINITY;

  const destination = async (): Promise<ResolvedAddress> => {
    if (!address || clock.now() - askedAt >= ADDRESS_MS) {
      addresses = await resolveChecked(target.host, policy, resolve);
      const found = addresses[0] as ResolvedAddress;
      if (found.family !== address?.family) {
        socket?.close();
        socket = undefined;
      }
      address = found;
      askedAt = clock.now();
    }
    return address;
  };
  const send = async (frame: OutgoingFrame): Promise<SendOutcome> => {
    try {
      const to = await destination();
      socket ??= openUdp(to.family);
      let from = 0;
      let rejected = 0;
      for (const end of frame.ends ?? [frame.body.length]) {
        const datagram = frame.body.subarray(from, end);
        from = end;
        if (datagram.length > MAX_DATAGRAM) rejected++;
        else await sendDatagram(socket, datagram, target.port, to.address);
      }
      return rejected > 0
        ? { kind: "delivered", rejected, reason: "longer than a datagram" }
        : { kind: "delivered" };
    } catch (error) {
      return outcomeOfError(error);
    }
  };
  return {
    send,
    async probe(frame): Promise<ProbeReport> {
      const started = clock.now();
      const outcome = await send(frame);
      return { outcome, addresses, certificates: [], latencyMs: clock.now() - started };
    },
    preview: () => "",
    async close() {
      socket?.close();
      socket = undefined;
    },
  };
}

function openUdp(family: 4 | 6): Socket {
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  // An ICMP answer is no news: UDP drains promise nothing.
  socket.on("error", () => undefined);
  socket.unref();
  return socket;
}

function sendDatagram(socket: Socket, bytes: Buffer, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(bytes, port, address, (error) => (error ? reject(error) : resolve()));
  });
}
