import { readdirSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, relative, sep } from "node:path";
import { ApiError } from "../errors.ts";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

// Nothing of another origin, no inline script, no frame around the page.
const policy = [
  "default-src 'self'",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

interface StaticFile {
  readonly bytes: Buffer;
  readonly type: string;
  /** Named by its content, so it never changes. */
  readonly immutable: boolean;
}

/** A folder of static files, read once: a request can only name what was there. */
export class StaticFiles {
  readonly #files = new Map<string, StaticFile>();

  /** @throws ApiError `bad-request` when the folder has no `index.html`. */
  constructor(directory: string) {
    let names: string[];
    try {
      names = readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(directory, join(entry.parentPath, entry.name)));
    } catch (cause) {
      const reason = (cause as NodeJS.ErrnoException).code ?? "no reason given";
      throw new ApiError(
        "bad-request",
        `The console's folder ${directory} cannot be read (${reason}): build the console first, or name the folder of its build.`,
        { cause },
      );
    }
    for (const name of names)
      this.#files.set(name.split(sep).join("/"), {
        bytes: readFileSync(join(directory, name)),
        type: types[extname(name)] ?? "application/octet-stream",
        immutable: name.startsWith(`assets${sep}`),
      });
    if (!this.#files.has("index.html"))
      throw new ApiError("bad-request", `${directory} has no index.html: build the console first.`);
  }

  /** Answers for `name`, or says that there is no such file. */
  serve(name: string, request: IncomingMessage, response: ServerResponse): boolean {
    const file = this.#files.get(name === "" ? "index.html" : name);
    if (!file) return false;
    response.writeHead(200, {
      "Content-Type": file.type,
      "Content-Length": file.bytes.length,
      "Cache-Control": file.immutable ? "public, max-age=31536000, immutable" : "no-cache",
      "Content-Security-Policy": policy,
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
      "Cross-Origin-Opener-Policy": "same-origin",
    });
    response.end(request.method === "HEAD" ? undefined : file.bytes);
    return true;
  }
}
