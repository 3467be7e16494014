/** Why octets are not a frame or a frame is not a message (spec/logplex.md §4.7). */
export type FrameFaultCode =
  | "bad_length"
  | "frame_too_large"
  | "truncated_frame"
  | "empty_body"
  | "bad_structured_data"
  | "not_syslog";

/** A fault as a value; parsers never throw for what a peer sends. */
export interface FrameFault {
  readonly code: FrameFaultCode;
  /** Octets of the whole input before the frame at fault. */
  readonly offset: number;
  /** 0-based number of the frame. */
  readonly frame: number;
  /** Up to 64 octets of the frame, escaped. */
  readonly context: string;
  /** One sentence: what was wrong and what to send. */
  readonly message: string;
}

const MESSAGES: Record<FrameFaultCode, string> = {
  bad_length:
    "A frame must begin with its length in octets: 1 to 7 digits without leading zero and one space",
  frame_too_large: "The frame is longer than the receiver accepts; send shorter lines",
  truncated_frame:
    "The input ends inside a frame; announce octets, not characters, and send them all",
  empty_body: "The body holds no frame; send at least one",
  bad_structured_data: "The structured data is neither - nor a list of elements (RFC 5424 §6.3)",
  not_syslog: "The frame holds no syslog message; begin with <PRI>1",
};

/** Printable text for octets; everything else becomes `\xNN`. */
export function escapeOctets(octets: Uint8Array, max = 64): string {
  let text = "";
  for (const octet of octets.subarray(0, max)) {
    text +=
      octet >= 0x20 && octet < 0x7f && octet !== 0x5c
        ? String.fromCharCode(octet)
        : `\\x${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}

/** Builds a fault. */
export function createFault(
  code: FrameFaultCode,
  offset: number,
  frame: number,
  context: Uint8Array,
): FrameFault {
  return { code, offset, frame, context: escapeOctets(context), message: `${MESSAGES[code]}.` };
}
