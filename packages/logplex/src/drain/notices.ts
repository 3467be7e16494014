import { formatSeconds } from "../frame/timestamp.ts";
import type { StructuredElement } from "../message.ts";
import type { CertificateFacts } from "./transport/transport.ts";

/** A line that the platform writes about a drain (spec/logplex.md §10.1). */
export interface DrainNotice {
  readonly code: "L10" | "L14" | "L16";
  /** Body of the line. */
  readonly text: string;
  /** 172 or 188. */
  readonly pri: number;
  /** More about it, for those who read fields. */
  readonly sd?: readonly StructuredElement[];
}

/** Loss that a drain has not told its receiver yet. */
export interface Announcement {
  readonly count: number;
  /** Time of the first loss, µs since the epoch. */
  readonly sinceUs: number;
}

/** L10 as it stands in the drain itself. The count is never pluralised: parsers exist. */
export function drainLossText({ count, sinceUs }: Announcement): string {
  return `Error L10 (output buffer overflow): ${count} messages dropped since ${formatSeconds(sinceUs)}.`;
}

/** L10 as it stands in history and tails. */
export function channelLossNotice(token: string, { count, sinceUs }: Announcement): DrainNotice {
  return {
    code: "L10",
    pri: 172,
    text: `Error L10 (output buffer overflow): drain '${token}' dropped ${count} messages since ${formatSeconds(sinceUs)}.`,
  };
}

/**
 * L14; `uri` must be masked already. The text is that of Logplex; whose certificate it was stands in the
 * structured data (spec/logplex.md §13.2).
 */
export function certificateNotice(
  alert: string,
  uri: string,
  certificate?: CertificateFacts,
): DrainNotice {
  return {
    code: "L14",
    pri: 188,
    text: `Error L14 (certificate validation): error="${quoted(alert)}" uri="${quoted(uri)}"`,
    ...(certificate && { sd: [certificateData(certificate)] }),
  };
}

function certificateData({ subject, issuer, validTo }: CertificateFacts): StructuredElement {
  const shown = { subject, issuer, expires: validTo };
  return {
    id: "certificate@32473",
    params: Object.entries(shown).map(([name, value]) => ({
      name,
      value: value.replace(/[\0-\x1f\x7f]/g, " ").slice(0, 256),
    })),
  };
}

/** L16: the drain is misconfigured. */
export function rejectedNotice(token: string, reason: string): DrainNotice {
  return { code: "L16", pri: 172, text: `Error L16 (drain rejected): drain '${token}' ${reason}.` };
}

function quoted(text: string): string {
  return text.replace(/["\\]/g, "'").replace(/[\0-\x1f\x7f]/g, " ");
}

/** Messages that the platform itself wrote into the channel; drains do not carry them. */
export function isPlatformNotice(message: { source: string; procid: string }): boolean {
  return message.procid === "logplex" && message.source === "heroku";
}
