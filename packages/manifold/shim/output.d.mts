import type { Readable } from "node:stream";

/** What a dyno prints, in segments below `directory`. */
export declare class OutputLog {
  constructor(
    directory: string,
    options: {
      readonly segmentBytes: number;
      readonly segments: number;
      readonly overflow?: "drop" | "block";
      readonly replay?: boolean;
    },
    isRead: () => boolean,
  );
  /** `source`: the descriptor of a pipe, or a stream. */
  follow(
    name: "stdout" | "stderr",
    source: number | Readable,
  ): { readonly ended: Promise<void>; stop(): void };
  takeRest(): void;
  end(exit: Readonly<Record<string, unknown>>): void;
}
