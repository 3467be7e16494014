/** Bytes that the area has to have in front of what is pushed. */
export declare const HEADROOM_BYTES: number;
type OnBlock = (area: Uint8Array, from: number, to: number, partial: boolean) => void;
/** Cuts a stream into blocks that end with a line end; longer lines come in parts, as of `LineSplitter`. */
export declare class BlockSplitter {
  push(area: Buffer, start: number, end: number, onBlock: OnBlock): void;
  flush(onBlock: OnBlock): void;
}
