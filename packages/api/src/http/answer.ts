import type { ServerResponse } from "node:http";

/**
 * An answer whose text is known. A server writes it as it is; a `Response` around it, with its
 * stream and its list of headers, would cost more than most requests.
 */
export class Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Absent where the method or the status has no body. */
  readonly text: string | null;

  constructor(status: number, headers: Readonly<Record<string, string>>, text: string | null) {
    this.status = status;
    this.headers = headers;
    this.text = text;
  }

  toResponse(): Response {
    return new Response(this.text, { status: this.status, headers: this.headers });
  }

  send(response: ServerResponse): void {
    response.writeHead(this.status, this.headers);
    response.end(this.text ?? undefined);
  }
}

/** What a route gives: most make JSON, some stream. */
export type Outcome = Response | Answer;

export function toResponse(outcome: Outcome): Response {
  return outcome instanceof Answer ? outcome.toResponse() : outcome;
}
