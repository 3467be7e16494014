import type { StoredMessage } from "../message.ts";
import { createTimestampFormatter } from "./timestamp.ts";

const formatTs = createTimestampFormatter();

// C0 but TAB and LF, DEL, C1; a line must not be able to move the cursor or forge another line.
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
const UNSAFE_TEST = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/;

/** Options of {@link formatLine}. */
export interface DisplayOptions {
  /** Leave control characters other than LF as they are; default false. */
  readonly controls?: boolean;
  /** Show times in the zone of this process instead of UTC; default false. */
  readonly local?: boolean;
}

function escapeUnsafe(text: string): string {
  if (!UNSAFE_TEST.test(text)) return text;
  return text.replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0).toString(16).toUpperCase();
    return `\\x${code.padStart(2, "0")}`;
  });
}

/** A time in the zone of this process, with its offset. */
export function localTime(micros: number): string {
  const date = new Date(Math.floor(micros / 1000));
  const offset = -date.getTimezoneOffset();
  const shifted = formatTs(micros + offset * 60_000_000).slice(0, 26);
  const minutes = Math.abs(offset);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${shifted}${offset < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** `<timestamp> <source>[<procid>]: `, what precedes every display line of a message. */
export function displayPrefix(message: StoredMessage, options: DisplayOptions = {}): string {
  const time = options.local === true ? localTime(message.ts) : formatTs(message.ts);
  const name = message.procid === "" ? message.source : `${message.source}[${message.procid}]`;
  return `${time} ${escapeUnsafe(name).replaceAll("\n", "\\x0A")}: `;
}

/**
 * The display lines of a message without their LF: one per LF in the body, each with the prefix
 * (spec/logplex.md §3). Control characters become `\xNN`.
 */
export function displayLines(message: StoredMessage, options: DisplayOptions = {}): string[] {
  const prefix = displayPrefix(message, options);
  const { body } = message;
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
  const safe = options.controls === true ? text : escapeUnsafe(text);
  if (!safe.includes("\n")) return [prefix + safe];
  return safe.split("\n").map((line) => prefix + line);
}

/** The human form of a message; every display line ends in exactly one LF (spec/logplex.md §3). */
export function formatLine(message: StoredMessage, options: DisplayOptions = {}): string {
  return `${displayLines(message, options).join("\n")}\n`;
}
