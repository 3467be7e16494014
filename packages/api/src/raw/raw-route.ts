import type { Platform } from "../platform/platform.ts";

/** A request outside the JSON table: uploads, downloads and streams. */
export interface RawCall {
  readonly platform: Platform;
  readonly request: Request;
  readonly url: URL;
  /** IP address of the client. */
  readonly address: string;
  readonly params: Readonly<Record<string, string>>;
  /** Headers of the answer, unless it sets them itself. */
  readonly answerHeaders: Record<string, string>;
}

/** A route whose body is not the API's JSON. */
export interface RawRoute {
  readonly method: "GET" | "PUT" | "POST";
  readonly path: string;
  readonly summary: string;
  /** Content types of a good answer, for the documents. */
  readonly types: readonly string[];
  /** Content type of the body it takes. */
  readonly accepts?: string;
  /** Wants a token, like the endpoints of the table; absent: the capability is in the URL. */
  readonly authenticated?: boolean;
  /** What else a request may carry, for the documents. */
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: "query" | "header";
    readonly description: string;
  }[];
  readonly handler: (call: RawCall) => Promise<Response>;
}
