export declare const SEGMENT_HEADER = 8;
export declare const RECORD_HEADER = 16;
export declare const TYPE_STDOUT = 0;
export declare const TYPE_STDERR = 1;
export declare const TYPE_EXIT = 3;
export declare const TYPE_LOST = 4;
export interface SegmentRecord {
  readonly type: number;
  readonly partial: boolean;
  readonly time: number;
  readonly from: number;
  readonly end: number;
}
export declare function recordAt(bytes: Buffer, at: number): SegmentRecord | undefined;
