import { F } from "../codec/field-names.ts";
import type { Head } from "../codec/head.ts";
import { plainAddress } from "../table/address-set.ts";
import type { ClientSide, Peer } from "./client-side.ts";
import type { Engine } from "./engine.ts";
import { joinedValues } from "./fields.ts";

/** Who asks (spec/router.md §6, §23). */
export interface Origin {
  /** Value of `X-Forwarded-For` for the app and of `fwd=` in the log. */
  readonly forwardedFor: string;
  /** Address that limits and access rules look at. */
  readonly clientAddress: string;
  /** `http` or `https` as the client used it. */
  readonly scheme: string;
  readonly port: string;
  /** What of it the app gets, as complete lines. */
  readonly lines: string;
}

/** Who asks, and under which id. */
export interface Identity extends Origin {
  readonly requestId: string;
}

const REQUEST_ID = /^[A-Za-z0-9+/=-]{20,200}$/;

function requestId(engine: Engine, head: Head | null): string {
  if (head === null) return engine.newRequestId();
  const { requestIdName } = engine.options;
  const known = requestIdName === "x-request-id";
  if (known && (head.first[F.xRequestId] as number) < 0) return engine.newRequestId();
  for (let i = 0; i < head.count; i++) {
    if (known ? head.id(i) !== F.xRequestId : head.name(i).toLowerCase() !== requestIdName)
      continue;
    const value = head.value(i);
    if (REQUEST_ID.test(value)) return value;
  }
  return engine.newRequestId();
}

/** Who asks, and the id of the request: the client's, if that is a good one, or a new one. */
export function fieldIdentity(engine: Engine, client: ClientSide, head: Head | null): Identity {
  const { peer } = client;
  // What only the connection says is the same for all its requests.
  const plain = head === null || ((head.first[F.xForwardedFor] as number) < 0 && !peer.trusted);
  if (plain) client.origin ??= readOrigin(engine, peer, null);
  const origin = plain ? (client.origin as Origin) : readOrigin(engine, peer, head);
  return {
    requestId: requestId(engine, head),
    forwardedFor: origin.forwardedFor,
    clientAddress: origin.clientAddress,
    scheme: origin.scheme,
    port: origin.port,
    lines: origin.lines,
  };
}

/** Reads who the client is from the connection and, where a trusted hop stands in front, from fields. */
function readOrigin(engine: Engine, peer: Peer, head: Head | null): Origin {
  let forwardedFor = peer.address;
  let clientAddress = peer.address;
  let scheme = peer.tls ? "https" : "http";
  let port = String(peer.publicPort);
  if (head !== null) {
    if ((head.first[F.xForwardedFor] as number) >= 0) {
      const list = joinedValues(head, F.xForwardedFor);
      if (peer.trusted) clientAddress = rightmostUntrusted(engine, list) ?? peer.address;
      if (list !== "" && (engine.options.xff === "append" || peer.trusted))
        forwardedFor = `${list}, ${peer.address}`;
    }
    if (peer.trusted) {
      const claimed = head.get(F.xForwardedProto)?.toLowerCase();
      if (claimed === "http" || claimed === "https") {
        if (claimed !== scheme) port = claimed === "https" ? "443" : "80";
        scheme = claimed;
      }
      const claimedPort = head.get(F.xForwardedPort);
      if (claimedPort !== undefined && /^[0-9]{1,5}$/.test(claimedPort)) port = claimedPort;
    }
  }
  const lines = `X-Forwarded-For: ${forwardedFor}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-Port: ${port}\r\n`;
  return { forwardedFor, clientAddress, scheme, port, lines };
}

function rightmostUntrusted(engine: Engine, list: string): string | undefined {
  const { trustedProxies } = engine.options;
  const entries = list.split(",");
  for (let i = entries.length - 1; i >= 0; i--) {
    const entry = plainAddress((entries[i] as string).trim());
    if (trustedProxies === null || !trustedProxies.has(entry))
      return entry === "" ? undefined : entry;
  }
  return plainAddress((entries[0] as string).trim());
}
