export declare const RECORD_HEADER = 22;
export declare const TYPE_STDOUT = 0;
export declare const TYPE_STDERR = 1;
export declare const TYPE_EXIT = 3;
export declare const FLAG_PARTIAL = 1;
export declare function segmentNumbers(directory: string): number[];
