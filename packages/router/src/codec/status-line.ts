/** The first line of a response (R9112 §4). */

import { RESPONSE_FAULTS } from "./faults.ts";
import { NEED_MORE, refuse } from "./head-verdicts.ts";
import { CR, isVersion, LF, SP, VALUE } from "./octets.ts";
import type { ParsedHead } from "./parsed-head.ts";

/**
 * Reads the line that begins at `line` of a head that begins at `start`.
 *
 * @returns the offset behind it, `NEED_MORE` or `REFUSED`.
 */
export function readStatusLine(
  head: ParsedHead,
  buffer: Buffer,
  start: number,
  line: number,
  end: number,
): number {
  const found = buffer.indexOf(LF, line);
  if (found < 0 || found >= end) return NEED_MORE;
  const crlf = found > line && buffer[found - 1] === CR;
  const stop = crlf ? found - 1 : found;
  if (stop - line > head.limits.startLineBytes)
    return refuse(head, RESPONSE_FAULTS.statusLineTooLong);
  if (!crlf) {
    if (head.leniency.bareLf !== true) return refuse(head, RESPONSE_FAULTS.statusLine);
    head.lint = "bare-lf";
  }
  if (stop - line < 12 || !isVersion(buffer, line)) return refuse(head, RESPONSE_FAULTS.statusLine);
  if (buffer[line + 5] !== 49 || buffer[line + 8] !== SP)
    return refuse(head, RESPONSE_FAULTS.statusLine);
  let status = 0;
  for (let i = line + 9; i < line + 12; i++) {
    const octet = buffer[i] as number;
    if (octet < 48 || octet > 57) return refuse(head, RESPONSE_FAULTS.statusLine);
    status = status * 10 + octet - 48;
  }
  if (status < 100 || (stop > line + 12 && buffer[line + 12] !== SP))
    return refuse(head, RESPONSE_FAULTS.statusLine);
  for (let i = line + 12; i < stop; i++)
    if (VALUE[buffer[i] as number] === 0) return refuse(head, RESPONSE_FAULTS.statusLine);
  head.status = status;
  head.minor = buffer[line + 7] === 48 ? 0 : 1;
  head.targetStart = Math.min(line + 13, stop) - start;
  head.targetEnd = stop - start;
  return found + 1;
}
