/** What the readers of lines have in common: how a head is refused, and when it must go on. */

import { FAULTS, type Fault, RESPONSE_FAULTS } from "./faults.ts";
import { CR, LF } from "./octets.ts";
import type { ParsedHead } from "./parsed-head.ts";

/** More octets are needed. */
export const NEED_MORE = -1;
/** The head is refused; its `fault` says why. */
export const REFUSED = -2;

/** Notes why the head is refused. */
export function refuse(head: ParsedHead, fault: Fault): number {
  head.fault = fault;
  return REFUSED;
}

/** The fault of a head that is too long as a whole. */
export function headTooLong(head: ParsedHead): Fault {
  return head.kind === "response" ? RESPONSE_FAULTS.headerTooLong : FAULTS.headTooLong;
}

/** An unfinished line is refused as soon as no continuation can bring it under its limit. */
export function tooLong(head: ParsedHead, start: number, line: number, end: number): number {
  // The last octet may be the CR of the line end, which does not count.
  const length = end - line - 1;
  const limit = head.inFields ? head.limits.fieldLineBytes : head.limits.startLineBytes;
  if (length > limit) return refuse(head, lineTooLong(head));
  if (end - start > head.limits.headBytes) return refuse(head, headTooLong(head));
  return NEED_MORE;
}

/** The fault of a line that is too long. */
export function lineTooLong(head: ParsedHead): Fault {
  if (head.kind === "response")
    return head.inFields ? RESPONSE_FAULTS.headerTooLong : RESPONSE_FAULTS.statusLineTooLong;
  return head.inFields ? FAULTS.fieldLineTooLong : FAULTS.requestLineTooLong;
}

/**
 * A line with something wrong in it. Its length comes first, because that is all which is
 * known of a line that has not ended yet; so the division into packets does not show.
 */
export function broken(
  head: ParsedHead,
  buffer: Buffer,
  start: number,
  line: number,
  end: number,
  fault: Fault,
): number {
  const found = buffer.indexOf(LF, line);
  if (found < 0 || found >= end) return NEED_MORE;
  const length = found - line - (found > line && buffer[found - 1] === CR ? 1 : 0);
  const limit = head.inFields ? head.limits.fieldLineBytes : head.limits.startLineBytes;
  if (length > limit) return refuse(head, lineTooLong(head));
  if (found + 1 - start > head.limits.headBytes) return refuse(head, headTooLong(head));
  return refuse(head, fault);
}

/** Whether a soft rule may be broken here; notes it where the decision was put off. */
export function mayBreak(head: ParsedHead, allowed: boolean | undefined, rule: Fault): boolean {
  if (allowed === true) return true;
  if (head.leniency.defer !== true) return false;
  head.soft ??= rule;
  return true;
}
