/** The first line of a request (R9112 §3). */

import { FAULTS, type Fault } from "./faults.ts";
import { broken, mayBreak, NEED_MORE, refuse } from "./head-verdicts.ts";
import { CR, HT, isVersion, LF, SP, TARGET, TOKEN } from "./octets.ts";
import type { ParsedHead } from "./parsed-head.ts";

const MAX_METHOD = 127;
/** First octet of a TLS handshake. */
const CLIENT_HELLO = 0x16;

/**
 * Reads the line that begins at `line` of a head that begins at `start`.
 *
 * @returns the offset behind it, `NEED_MORE` or `REFUSED`.
 */
export function readRequestLine(
  head: ParsedHead,
  buffer: Buffer,
  start: number,
  line: number,
  end: number,
): number {
  let i = line;
  while (i < end && TOKEN[buffer[i] as number] !== 0) i++;
  if (i >= end) return NEED_MORE;
  if (buffer[i] !== SP) return broken(head, buffer, start, line, end, methodFault(buffer, i));
  const methodEnd = i;
  i++;
  if (buffer[i] === SP) {
    if (!mayBreak(head, head.leniency.requestLineSpaces, FAULTS.requestLineSpaces))
      return broken(head, buffer, start, line, end, FAULTS.requestLineSpaces);
    while (i < end && buffer[i] === SP) i++;
    head.lint = "request-line-spaces";
  }
  const targetStart = i;
  const { highTarget, defer } = head.leniency;
  const accepted = highTarget === true || defer === true ? 3 : 1;
  let octet = 0;
  for (; i < end; i++) {
    octet = buffer[i] as number;
    const kind = TARGET[octet] as number;
    if (kind === 0 || (kind & accepted) === 0) break;
    if (kind === 2) {
      mayBreak(head, highTarget, FAULTS.target);
      head.lint = "high-octet-in-target";
    }
  }
  if (i >= end) return NEED_MORE;
  if (octet !== SP || i === targetStart) {
    const fault =
      octet === CR || octet === LF
        ? FAULTS.version
        : octet === SP || octet === HT
          ? FAULTS.requestLineSpaces
          : FAULTS.target;
    return broken(head, buffer, start, line, end, fault);
  }
  const targetEnd = i;
  i++;
  if (
    buffer[i] === SP &&
    mayBreak(head, head.leniency.requestLineSpaces, FAULTS.requestLineSpaces)
  ) {
    while (i < end && buffer[i] === SP) i++;
    head.lint = "request-line-spaces";
  }
  const versionEnds =
    i + 9 < end && isVersion(buffer, i) && buffer[i + 8] === CR && buffer[i + 9] === LF;
  if (!versionEnds) return broken(head, buffer, start, line, end, versionFault(buffer, i, end));
  if (i + 8 - line > head.limits.startLineBytes) return refuse(head, FAULTS.requestLineTooLong);
  if (methodEnd - line > MAX_METHOD) return refuse(head, FAULTS.methodTooLong);
  const major = (buffer[i + 5] as number) - 48;
  if (major !== 1) {
    const preface = methodEnd - line === 3 && buffer[line] === 0x50 && major === 2;
    return refuse(head, preface ? FAULTS.http2Preface : FAULTS.versionUnsupported);
  }
  head.methodEnd = methodEnd - start;
  head.targetStart = targetStart - start;
  head.targetEnd = targetEnd - start;
  head.minor = (buffer[i + 7] as number) === 48 ? 0 : 1;
  return i + 10;
}

function methodFault(buffer: Buffer, at: number): Fault {
  const octet = buffer[at];
  if (octet === CR) return FAULTS.requestLine;
  if (octet === LF) return FAULTS.bareLf;
  return octet === HT ? FAULTS.requestLineSpaces : FAULTS.method;
}

/** What is wrong behind the target; depends on the rest of the line alone. */
function versionFault(buffer: Buffer, i: number, end: number): Fault {
  const octet = buffer[i];
  if (octet === SP || octet === HT) return FAULTS.requestLineSpaces;
  const lineEnd = buffer.indexOf(LF, i);
  if (i + 8 > end || lineEnd < i + 8 || !isVersion(buffer, i)) return FAULTS.version;
  const after = buffer[i + 8];
  if (after === LF) return FAULTS.bareLf;
  return after === SP || after === HT ? FAULTS.requestLineSpaces : FAULTS.version;
}

/** What the first octet of a request alone decides, whatever comes after it. */
export function firstOctetFault(buffer: Buffer, line: number, end: number): Fault | null {
  const octet = buffer[line] as number;
  if (TOKEN[octet] !== 0) return null;
  if (octet === CR) return line + 1 < end && buffer[line + 1] !== LF ? FAULTS.bareCr : null;
  if (octet === CLIENT_HELLO) return FAULTS.clientHello;
  return octet === LF ? FAULTS.bareLf : FAULTS.requestLine;
}
