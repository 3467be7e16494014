export declare const KIND_MESSAGE = 0;
export declare const KIND_DATA = 1;
export declare const KIND_ERROR = 2;
export declare function encodeFrame(kind: number, payload: Uint8Array): Buffer;
export declare function encodeMessage(message: unknown): Buffer;
export declare class FrameReader {
  push(chunk: Buffer, onFrame: (kind: number, payload: Buffer) => void): void;
}
export declare function withSocketPath<T>(
  directory: string,
  use: (path: string) => T,
  name?: string,
): T;
