/** One field line (R9112 §5). */

import { FAULTS, type Fault, RESPONSE_FAULTS } from "./faults.ts";
import { F, identifyField } from "./field-names.ts";
import { broken, headTooLong, lineTooLong, mayBreak, NEED_MORE, refuse } from "./head-verdicts.ts";
import { COLON, CR, HT, LF, SP, TOKEN, VALUE } from "./octets.ts";
import type { ParsedHead } from "./parsed-head.ts";

/**
 * Reads the line that begins at `line` of a head that begins at `start`.
 *
 * @returns the offset behind it, `NEED_MORE` or `REFUSED`.
 */
export function readFieldLine(
  head: ParsedHead,
  buffer: Buffer,
  start: number,
  line: number,
  end: number,
): number {
  let i = line;
  let underscore = 0;
  let kind = 0;
  while (i < end) {
    kind = TOKEN[buffer[i] as number] as number;
    if (kind === 0) break;
    underscore |= kind;
    i++;
  }
  if (i >= end) return NEED_MORE;
  if (buffer[i] !== COLON || i === line) return notAField(head, buffer, start, line, end, i);
  const nameEnd = i;
  i++;
  while (i < end && (buffer[i] === SP || buffer[i] === HT)) i++;
  const valueStart = i;
  while (i < end && VALUE[buffer[i] as number] === 1) i++;
  if (i >= end) return NEED_MORE;
  const octet = buffer[i] as number;
  let next = i + 2;
  if (octet === CR) {
    if (i + 1 >= end) return NEED_MORE;
    if (buffer[i + 1] !== LF)
      return broken(head, buffer, start, line, end, fieldFault(head, FAULTS.bareCr));
  } else if (octet === LF) {
    if (head.leniency.bareLf !== true)
      return broken(head, buffer, start, line, end, fieldFault(head, FAULTS.bareLf));
    head.lint = "bare-lf";
    next = i + 1;
  } else {
    return broken(head, buffer, start, line, end, fieldFault(head, FAULTS.controlOctet));
  }
  const tooLong = fieldLimit(head, start, line, nameEnd, i, next);
  if (tooLong !== null) return refuse(head, tooLong);
  let valueEnd = i;
  while (valueEnd > valueStart && (buffer[valueEnd - 1] === SP || buffer[valueEnd - 1] === HT))
    valueEnd--;
  const id = identifyField(buffer, line, nameEnd);
  if (id === F.setCookie && head.kind === "response" && i - line > head.limits.cookieLineBytes)
    return refuse(head, RESPONSE_FAULTS.cookieTooLong);
  head.add(
    line - start,
    nameEnd - start,
    valueStart - start,
    valueEnd - start,
    id,
    (underscore & 2) !== 0,
  );
  return next;
}

function fieldLimit(
  head: ParsedHead,
  start: number,
  line: number,
  nameEnd: number,
  lineEnd: number,
  next: number,
): Fault | null {
  const limits = head.limits;
  if (lineEnd - line > limits.fieldLineBytes) return lineTooLong(head);
  if (next - start > limits.headBytes) return headTooLong(head);
  if (nameEnd - line > limits.fieldNameBytes)
    return head.kind === "response" ? RESPONSE_FAULTS.headerTooLong : FAULTS.fieldNameTooLong;
  if (head.count >= limits.fields)
    return head.kind === "response" ? RESPONSE_FAULTS.headerTooLong : FAULTS.tooManyFields;
  return null;
}

function fieldFault(head: ParsedHead, fault: Fault): Fault {
  return head.kind === "response" ? RESPONSE_FAULTS.header : fault;
}

function notAField(
  head: ParsedHead,
  buffer: Buffer,
  start: number,
  line: number,
  end: number,
  at: number,
): number {
  const octet = buffer[at] as number;
  let fault: Fault = FAULTS.fieldName;
  if (at === line && (octet === SP || octet === HT)) {
    if (head.count === 0) fault = FAULTS.spaceBeforeField;
    else if (mayBreak(head, head.leniency.obsFold, FAULTS.obsFold))
      return unfold(head, buffer, start, line, end);
    else fault = FAULTS.obsFold;
  } else if (octet === SP || octet === HT) {
    fault = FAULTS.spaceBeforeColon;
  } else if (octet === CR) {
    fault = buffer[at + 1] === LF || at + 1 >= end ? FAULTS.missingColon : FAULTS.bareCr;
  } else if (octet === LF) {
    fault = FAULTS.bareLf;
  }
  return broken(head, buffer, start, line, end, fieldFault(head, fault));
}

/** Joins a folded line to the one before it: the line end becomes spaces (R9112 §5.2). */
function unfold(
  head: ParsedHead,
  buffer: Buffer,
  start: number,
  line: number,
  end: number,
): number {
  const found = buffer.indexOf(LF, line);
  if (found < 0 || found >= end) return NEED_MORE;
  const begin = start + head.removeLast();
  head.lint = "obs-fold";
  for (let i = line - 1; buffer[i] === CR || buffer[i] === LF; i--) buffer[i] = SP;
  return readFieldLine(head, buffer, start, begin, end);
}
