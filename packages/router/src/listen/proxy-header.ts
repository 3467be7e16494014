/** PROXY protocol header, versions 1 and 2, as an incremental parser without I/O (spec/router.md §23). */

/** What a PROXY header says. `null` addresses: keep those of the socket (LOCAL, UNKNOWN, UNIX). */
export interface ProxyHeader {
  readonly version: 1 | 2;
  readonly source: { readonly address: string; readonly port: number } | null;
  readonly destination: { readonly address: string; readonly port: number } | null;
  /** From the SSL TLV: the client used TLS towards the hop in front. */
  readonly tls: boolean;
  /** From the authority TLV. */
  readonly authority: string | null;
  /** Octets of the header. */
  readonly length: number;
}

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const MAX_V1 = 107;
const MAX_V2 = 16 + 4096;
const V1 = Buffer.from("PROXY ");

const TLV_AUTHORITY = 0x02;
const TLV_SSL = 0x20;

/**
 * Reads a header from the first octets of a connection.
 *
 * @returns the header, `more` when it is not complete, or `bad` when it is none.
 */
export function parseProxyHeader(octets: Buffer): ProxyHeader | "more" | "bad" {
  const first = octets[0];
  if (first === undefined) return "more";
  if (first === V1[0]) return parseV1(octets);
  const known = Math.min(octets.length, SIGNATURE.length);
  if (octets.compare(SIGNATURE, 0, known, 0, known) !== 0) return "bad";
  return octets.length < 16 ? "more" : parseV2(octets);
}

function parseV1(octets: Buffer): ProxyHeader | "more" | "bad" {
  const known = Math.min(octets.length, V1.length);
  if (octets.compare(V1, 0, known, 0, known) !== 0) return "bad";
  const end = octets.subarray(0, MAX_V1).indexOf("\r\n");
  if (end < 0) return octets.length >= MAX_V1 ? "bad" : "more";
  const parts = octets.toString("latin1", 0, end).split(" ");
  const length = end + 2;
  const none = {
    version: 1,
    source: null,
    destination: null,
    tls: false,
    authority: null,
  } as const;
  if (parts[1] === "UNKNOWN") return { ...none, length };
  if (parts.length !== 6) return "bad";
  const [, family, from, to, fromPort, toPort] = parts as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const address = family === "TCP4" ? IPV4 : family === "TCP6" ? IPV6 : null;
  if (address === null || !address.test(from) || !address.test(to)) return "bad";
  const ports = [fromPort, toPort].map((text) =>
    /^(?:0|[1-9][0-9]{0,4})$/.test(text) && Number(text) < 65_536 ? Number(text) : -1,
  ) as [number, number];
  if (ports.includes(-1)) return "bad";
  return {
    ...none,
    source: { address: from, port: ports[0] },
    destination: { address: to, port: ports[1] },
    length,
  };
}

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;
const IPV6 = /^[0-9A-Fa-f:.]{2,45}$/;

function parseV2(octets: Buffer): ProxyHeader | "more" | "bad" {
  const command = octets[12] as number;
  const family = octets[13] as number;
  const length = 16 + octets.readUInt16BE(14);
  if (command >> 4 !== 2 || length > MAX_V2) return "bad";
  if (octets.length < length) return "more";
  const none = {
    version: 2,
    source: null,
    destination: null,
    tls: false,
    authority: null,
  } as const;
  const kind = command & 15;
  if (kind === 0) return { ...none, length };
  if (kind !== 1) return "bad";
  const size = family >> 4 === 1 ? 4 : family >> 4 === 2 ? 16 : family >> 4 === 3 ? 108 : 0;
  // Family UNSPEC and UNIX carry no address that routing could use.
  const isIp = size === 4 || size === 16;
  const portsAt = 16 + 2 * size;
  const tlvAt = size === 0 ? length : size === 108 ? 16 + 216 : portsAt + 4;
  if (tlvAt > length) return "bad";
  const tlvs = readTlvs(octets.subarray(tlvAt, length));
  if (tlvs === null) return "bad";
  if (!isIp) return { ...none, ...tlvs, length };
  return {
    version: 2,
    source: {
      address: readAddress(octets.subarray(16, 16 + size)),
      port: octets.readUInt16BE(portsAt),
    },
    destination: {
      address: readAddress(octets.subarray(16 + size, portsAt)),
      port: octets.readUInt16BE(portsAt + 2),
    },
    ...tlvs,
    length,
  };
}

function readAddress(octets: Buffer): string {
  if (octets.length === 4) return octets.join(".");
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(octets.readUInt16BE(i).toString(16));
  return groups.join(":").replace(/(?:^|:)(?:0(?::|$)){2,}/, "::");
}

function readTlvs(octets: Buffer): { tls: boolean; authority: string | null } | null {
  let tls = false;
  let authority: string | null = null;
  let at = 0;
  while (at < octets.length) {
    if (at + 3 > octets.length) return null;
    const type = octets[at] as number;
    const length = octets.readUInt16BE(at + 1);
    const end = at + 3 + length;
    if (end > octets.length) return null;
    if (type === TLV_AUTHORITY) authority = octets.toString("utf8", at + 3, end);
    else if (type === TLV_SSL && length >= 5) tls = ((octets[at + 3] as number) & 1) === 1;
    at = end;
  }
  return { tls, authority };
}
