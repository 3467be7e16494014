/** Bodies of the router's own answers, by what the client accepts (spec/router.md §19). */

/** Which page is meant. */
export type PageKind = "error" | "maintenance" | "no-such-app" | "request";

/** What a page is made from. Nothing of the request is repeated, except its id. */
export interface PageInput {
  readonly kind: PageKind;
  readonly status: number;
  /** H-code, or null. */
  readonly code: string | null;
  /** One sentence for people and programs. */
  readonly message: string;
  readonly requestId: string;
  /** The app's own HTML page, or null. */
  readonly html: string | null;
  readonly accept: string | undefined;
}

/** A rendered page. */
export interface Page {
  readonly contentType: string;
  readonly body: Buffer;
}

/** Identifier of an error for programs, by status (JSON `id`). */
function errorId(input: PageInput): string {
  if (input.kind === "maintenance") return "maintenance";
  if (input.kind === "no-such-app") return "no_such_app";
  switch (input.status) {
    case 400:
      return "bad_request";
    case 403:
      return "forbidden";
    case 408:
      return "request_timeout";
    case 413:
      return "payload_too_large";
    case 421:
      return "misdirected_request";
    case 429:
      return "rate_limit";
    case 502:
      return "bad_gateway";
    case 503:
      return "service_unavailable";
    default:
      return "router_error";
  }
}

type Format = "html" | "json" | "problem" | "text";

const FORMATS: readonly { readonly format: Format; readonly type: string }[] = [
  { format: "html", type: "text/html" },
  { format: "html", type: "application/xhtml+xml" },
  { format: "json", type: "application/json" },
  { format: "problem", type: "application/problem+json" },
  { format: "text", type: "text/plain" },
];

/**
 * Chooses a format: the highest quality wins, then the order in `Accept`. A client that takes
 * anything (`curl`) gets text.
 */
export function negotiate(accept: string | undefined): Format {
  if (accept === undefined) return "text";
  let best: Format = "text";
  let bestQuality = 0;
  for (const part of accept.slice(0, 2048).split(",")) {
    const [range = "", ...parameters] = part.trim().toLowerCase().split(";");
    let quality = 1;
    for (const parameter of parameters) {
      const match = /^\s*q=([01](?:\.[0-9]{0,3})?)\s*$/.exec(parameter);
      if (match !== null) quality = Number(match[1]);
    }
    const type = range.trim();
    const found =
      type === "*/*"
        ? "text"
        : (FORMATS.find((row) => row.type === type)?.format ??
          (type === "text/*" ? "html" : type === "application/*" ? "json" : undefined));
    if (found === undefined || quality <= bestQuality) continue;
    best = found;
    bestQuality = quality;
  }
  return best;
}

const TITLES: Readonly<Record<PageKind, string>> = Object.freeze({
  error: "Application error",
  maintenance: "Offline for maintenance",
  "no-such-app": "No such app",
  request: "Bad request",
});

const TEXTS: Readonly<Record<PageKind, string>> = Object.freeze({
  error:
    "An error occurred in the application and your page could not be served. If you are the application owner, check your logs for details.",
  maintenance: "This application is undergoing maintenance right now. Please check back later.",
  "no-such-app": "There is no app at this address. Check the host name.",
  request: "The request could not be understood or is not allowed here.",
});

function html(input: PageInput): string {
  const title = TITLES[input.kind];
  const code = input.code === null ? "" : ` (${input.code})`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>
body{margin:0;font:16px/1.5 system-ui,sans-serif;color:#222;background:#f7f7f9}
main{max-width:32rem;margin:15vh auto 0;padding:0 1.5rem}
h1{font-size:1.5rem;font-weight:600}
small{color:#5c5c66}
@media(prefers-color-scheme:dark){body{color:#eee;background:#16161a}small{color:#a0a0ab}}
</style>
</head>
<body>
<main>
<h1>${title}${code}</h1>
<p>${TEXTS[input.kind]}</p>
<p><small>Request ${input.requestId}</small></p>
</main>
</body>
</html>
`;
}

/** Renders the page for one answer. */
export function renderPage(input: PageInput): Page {
  const format = negotiate(input.accept);
  if (format === "html")
    return {
      contentType: "text/html; charset=utf-8",
      body: Buffer.from(input.html ?? html(input)),
    };
  if (format === "json")
    return {
      contentType: "application/json; charset=utf-8",
      body: Buffer.from(
        `${JSON.stringify({
          id: errorId(input),
          code: input.code,
          message: input.message,
          request_id: input.requestId,
        })}\n`,
      ),
    };
  if (format === "problem")
    return {
      contentType: "application/problem+json; charset=utf-8",
      body: Buffer.from(
        `${JSON.stringify({
          type: "about:blank",
          title: TITLES[input.kind],
          status: input.status,
          detail: input.message,
          code: input.code,
          request_id: input.requestId,
        })}\n`,
      ),
    };
  const code = input.code === null ? "" : ` (${input.code})`;
  return {
    contentType: "text/plain; charset=utf-8",
    body: Buffer.from(`${input.message}${code}\nRequest ${input.requestId}\n`),
  };
}
