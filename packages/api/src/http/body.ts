import { gunzipSync, inflateSync } from "node:zlib";
import type { z } from "zod";
import { ApiError, type FieldProblem } from "../errors.ts";

const maxBodyBytes = 1024 * 1024;
const maxDepth = 64;

/**
 * The JSON body of a request; an absent or empty one is `undefined`, whatever the content type
 * says (heroku-client sends a JSON type with no body on GET and DELETE).
 */
export async function readBody(request: Request): Promise<unknown> {
  if (!request.body) return undefined;
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > maxBodyBytes) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw tooLarge();
    chunks.push(chunk);
  }
  const bytes = decoded(Buffer.concat(chunks), request.headers.get("content-encoding"));
  if (bytes.length === 0) return undefined;
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (type === "application/x-www-form-urlencoded" && !/^\s*[[{"]/.test(bytes.toString("latin1")))
    return Object.fromEntries(new URLSearchParams(bytes.toString("utf8")));
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ApiError("bad-request", "The body is not UTF-8.");
  }
  if (text.trim() === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, which may hold a secret.
    throw new ApiError("bad-request", "The body is not valid JSON.");
  }
}

/** Takes off what the client packed its body with, without growing beyond the limit. */
function decoded(bytes: Buffer, encoding: string | null): Buffer {
  const name = encoding?.trim().toLowerCase() ?? "";
  if (name === "" || name === "identity" || bytes.length === 0) return bytes;
  const unpack = /^(x-)?gzip$/.test(name)
    ? gunzipSync
    : name === "deflate"
      ? inflateSync
      : undefined;
  if (!unpack)
    throw new ApiError(
      "bad-request",
      `The Content-Encoding ${JSON.stringify(name)} is not taken. Send the body as it is, or with gzip.`,
    );
  try {
    return unpack(bytes, { maxOutputLength: maxBodyBytes });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge();
    throw new ApiError("bad-request", `The body is not valid ${name}.`, { cause });
  }
}

function tooLarge(): ApiError {
  return new ApiError("too-large", `The body is larger than ${maxBodyBytes} bytes.`, {
    headers: { connection: "close" },
  });
}

/** @throws ApiError `invalid-params` with a JSON pointer for each field that is wrong. */
export function validate<T>(schema: z.ZodType<T>, value: unknown, where = "body"): T {
  const zero = findZeroByte(value, "");
  if (zero !== undefined) {
    const message = "must not contain a zero byte";
    const name = zero === "" ? `The ${where}` : zero.slice(1);
    throw new ApiError("invalid-params", `${name} ${message}.`, {
      errors: [{ pointer: zero, message }],
    });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const errors: FieldProblem[] = parsed.error.issues.slice(0, 50).flatMap((issue) => {
    const base = `/${issue.path.map(escapePointer).join("/")}`.replace(/^\/$/, "");
    if (issue.code === "unrecognized_keys")
      return issue.keys.map((key) => ({
        pointer: `${base}/${escapePointer(key)}`,
        message: "is not a field of this request",
      }));
    return [{ pointer: base, message: issue.message }];
  });
  const summary = errors
    .slice(0, 5)
    .map(
      ({ pointer, message }) => `${pointer === "" ? `The ${where}` : pointer.slice(1)}: ${message}`,
    )
    .join("; ");
  throw new ApiError("invalid-params", `${summary}.`, { errors });
}

function escapePointer(part: PropertyKey): string {
  return String(part).replaceAll("~", "~0").replaceAll("/", "~1");
}

/** Pointer to the first text with a zero byte, which a store may not be able to keep. */
function findZeroByte(value: unknown, pointer: string, depth = 0): string | undefined {
  if (typeof value === "string") return value.includes("\0") ? pointer : undefined;
  if (typeof value !== "object" || value === null) return undefined;
  if (depth > maxDepth)
    throw new ApiError("bad-request", `The body is nested deeper than ${maxDepth} levels.`);
  for (const [key, item] of Object.entries(value)) {
    const inner = `${pointer}/${escapePointer(key)}`;
    if (key.includes("\0")) return inner;
    // A field of that name would be lost on its way instead of being refused.
    if (key === "__proto__") {
      const errors = [{ pointer: inner, message: "is no name of a field" }];
      throw new ApiError("invalid-params", `${inner.slice(1)} is no name of a field.`, { errors });
    }
    const found = findZeroByte(item, inner, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}
