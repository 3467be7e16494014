export declare function segmentNumbers(directory: string): number[];
export declare function recycleSegment(directory: string, number: number): void;
export declare function isSegment(fd: number, number: number): boolean;
