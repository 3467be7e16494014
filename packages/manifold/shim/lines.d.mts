/**
 * Cuts a stream of bytes into lines. A line that grows beyond `maxBytes` (default 65 536) comes
 * in parts marked partial; a part never ends inside a UTF-8 sequence. Holds at most `maxBytes`.
 */
export declare class LineSplitter {
  constructor(maxBytes?: number);
  /** Bytes that wait for their line end. */
  get pending(): number;
  /** Calls `onLine` for every line, and part of one, that is complete now; without its `\n` or `\r\n`. */
  push(chunk: Uint8Array, onLine: (bytes: Uint8Array, partial: boolean) => void): void;
  /** The last line, when it has no line end. */
  flush(onLine: (bytes: Uint8Array, partial: boolean) => void): void;
}
