/** The little that is read of a TLS ClientHello before TLS begins (R8446 §4.1.2, R6066 §3, R7301). */

/** What a client says first. */
export interface ClientHello {
  /** Lower case; empty without one. */
  readonly serverName: string;
  /** Names of protocols, in the client's order. */
  readonly protocols: readonly string[];
}

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const ALPN = 16;
/** A longer hello is left to TLS, which has limits of its own. */
const MAX_BYTES = 65_536;

/**
 * Reads the hello from the first octets of a connection: `more` when it is not complete, null when
 * it is none or is malformed; TLS then says what is wrong.
 */
export function parseClientHello(octets: Buffer): ClientHello | "more" | null {
  const hello = handshakeMessage(octets);
  if (hello === null || hello === "more") return hello;
  try {
    return readHello(hello);
  } catch {
    // A length that leads behind the end.
    return null;
  }
}

/** The first handshake message, taken out of its records. */
function handshakeMessage(octets: Buffer): Buffer | "more" | null {
  const parts: Buffer[] = [];
  let have = 0;
  for (let at = 0; ; ) {
    if (octets.length < at + 5) return begins(octets, at) ? "more" : null;
    if (!begins(octets, at)) return null;
    const end = at + 5 + octets.readUInt16BE(at + 3);
    if (end > MAX_BYTES || end === at + 5) return null;
    const part = octets.subarray(at + 5, end);
    parts.push(part);
    have += part.length;
    const message = parts.length === 1 ? part : Buffer.concat(parts);
    if (have > 0 && message[0] !== CLIENT_HELLO) return null;
    if (have >= 4) {
      const length = message.readUIntBE(1, 3);
      if (length + 4 > MAX_BYTES) return null;
      if (have >= length + 4) return message.subarray(4, length + 4);
    }
    if (octets.length < end) return "more";
    at = end;
  }
}

/** Whether a handshake record may begin at a place; octets that have not come yet fit. */
function begins(octets: Buffer, at: number): boolean {
  return (
    (octets.length <= at || octets[at] === HANDSHAKE) &&
    (octets.length <= at + 1 || octets[at + 1] === 3)
  );
}

function readHello(hello: Buffer): ClientHello {
  let at = 2 + 32;
  at += 1 + hello.readUInt8(at);
  at += 2 + hello.readUInt16BE(at);
  at += 1 + hello.readUInt8(at);
  let serverName = "";
  const protocols: string[] = [];
  // Without extensions the message ends here.
  const end = at === hello.length ? at : at + 2 + hello.readUInt16BE(at);
  for (at += 2; at < end; ) {
    const type = hello.readUInt16BE(at);
    const length = hello.readUInt16BE(at + 2);
    const value = hello.subarray(at + 4, at + 4 + length);
    if (value.length !== length) throw new RangeError("extension");
    if (type === SERVER_NAME) serverName = readServerName(value);
    else if (type === ALPN)
      for (let i = 2; i < value.length; ) {
        const size = value.readUInt8(i);
        protocols.push(value.toString("latin1", i + 1, i + 1 + size));
        i += 1 + size;
      }
    at += 4 + length;
  }
  return { serverName, protocols };
}

function readServerName(value: Buffer): string {
  if (value.readUInt8(2) !== 0) return "";
  const length = value.readUInt16BE(3);
  return value.toString("latin1", 5, 5 + length).toLowerCase();
}
