export declare const SEGMENT_HEADER = 8;
export declare const RECORD_HEADER = 24;
export declare const TYPE_STDOUT = 0;
export declare const TYPE_STDERR = 1;
export declare const TYPE_EXIT = 3;
export declare const FLAG_PARTIAL = 1;
export interface SegmentRecord {
  readonly type: number;
  readonly partial: boolean;
  readonly time: number;
  /** Number of its first line. */
  readonly first: number;
  readonly from: number;
  readonly end: number;
}
export declare function segmentNumbers(directory: string): number[];
export declare function recycleSegment(directory: string, number: number): void;
export declare function isSegment(fd: number, number: number): boolean;
export declare function recordAt(bytes: Buffer, at: number): SegmentRecord | undefined;
export declare class SegmentWriter {
  constructor(directory: string, options: { readonly segmentBytes: number });
  get sequence(): number;
  get segment(): number;
  add(
    type: number,
    area: Buffer,
    from: number,
    to: number,
    lines: number,
    partial: boolean,
    time: number,
  ): void;
  holds(segments: number): boolean;
  keepNewest(segments: number): void;
  close(): void;
}
