/**
 * What a host name leads to instead of the kit's backend: `unknown` to nothing, `maintenance` to an
 * app in maintenance, `crashed` to one whose dynos crashed, `no-dynos` to one that has none, and
 * `refused` to one whose only dyno refuses connections.
 */
export type ProxyState = "unknown" | "maintenance" | "crashed" | "no-dynos" | "refused";

/** One black-box case: octets in, what must be seen on both sides. Plain data. */
export interface ProxyCase {
  /** `framing/length-and-coding`. */
  readonly id: string;
  /** What the case proves, as a sentence. */
  readonly title: string;
  /** Rule behind it. */
  readonly basis: string;
  /** State of the host that is asked; default is the host that leads to the backend. */
  readonly at?: ProxyState;
  /**
   * What the client writes. `{host}` stands for the host name that leads to the backend. Each
   * string is one write; `null` is a FIN; a pattern waits until the client has read what it
   * matches, or 2 s.
   */
  readonly send: readonly (string | RegExp | null)[];
  /** What the backend writes once it has read a complete head; default a 200 with `hi`. */
  readonly answer?: string;
  /** The backend closes its side after its answer. */
  readonly answerThenClose?: boolean;
  readonly expect: ProxyExpectation;
}

/** What must be seen. */
export interface ProxyExpectation {
  /** Status of the first final answer; `none` when the connection ends without one. */
  readonly status: number | "none";
  /** Whether octets of the request may reach the backend. */
  readonly reaches: boolean;
  /** What the backend must have read, as regular expressions over latin1 text. */
  readonly backend?: readonly RegExp[];
  readonly backendNot?: readonly RegExp[];
  /** What the client must have read. */
  readonly client?: readonly RegExp[];
  readonly clientNot?: readonly RegExp[];
  /** The proxy must close the client's connection afterwards. */
  readonly closes?: boolean;
  /** How many requests reach the backend; default 1 if `reaches`. */
  readonly requests?: number;
}

/** The canned answer of the kit's backend. */
export const DEFAULT_ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/** Builds a request head from lines. */
export function lines(...list: readonly string[]): string {
  return `${list.join("\r\n")}\r\n\r\n`;
}
