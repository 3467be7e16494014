import type { StoredMessage } from "../message.ts";
import { formatStructuredData } from "./structured-data.ts";
import { formatTimestamp } from "./timestamp.ts";

/** The fields of a message that go into a frame. */
export type FrameFields = Pick<
  StoredMessage,
  "pri" | "ts" | "source" | "procid" | "body" | "sd" | "msgid"
> & {
  readonly tsText?: string | undefined;
};

/** Options of {@link encodeFrame}. */
export interface EncodeOptions {
  /** `logplex` writes no structured data at all (spec/logplex.md §4.4). Default `rfc5424`. */
  readonly dialect?: "rfc5424" | "logplex";
  /** Default: the literal `host`. */
  readonly hostname?: string;
}

const WORD = /^[\x21-\x7e]+$/;
const NO_WORD = /[^\x21-\x7e]/g;
const LF = Buffer.from("\n");

/** One octet-counted frame; the message ends in one LF, which is counted (spec/logplex.md §4.5). */
export function encodeFrame(message: FrameFields, options: EncodeOptions = {}): Buffer {
  // A name is one word of the header, whatever a writer in this process called itself.
  const word = (text: string): string =>
    WORD.test(text) ? text : text.replace(NO_WORD, "_") || "-";
  const sd = options.dialect === "logplex" ? "" : `${formatStructuredData(message.sd)} `;
  const time = message.tsText === undefined ? formatTimestamp(message.ts) : word(message.tsText);
  const head = Buffer.from(
    `<${message.pri}>1 ${time} ${options.hostname ?? "host"} ${word(message.source)} ${word(message.procid)} ${word(message.msgid)} ${sd}`,
  );
  const length = head.length + message.body.length + 1;
  return Buffer.concat([Buffer.from(`${length} `), head, message.body, LF]);
}
