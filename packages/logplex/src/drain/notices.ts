import { formatSeconds } from "../frame/timestamp.ts";

/** A line that the platform writes about a drain (spec/logplex.md §10.1). */
export interface DrainNotice {
  readonly code: "L10" | "L14" | "L16";
  /** Body of the line. */
  readonly text: string;
  /** 172 or 188. */
  readonly pri: number;
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

/** L14; `uri` must be masked already. */
export function certificateNotice(alert: string, uri: string): DrainNotice {
  return {
    code: "L14",
    pri: 188,
    text: `Error L14 (certificate validation): error="${quoted(alert)}" uri="${quoted(uri)}"`,
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
