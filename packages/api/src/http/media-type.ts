import { ApiError } from "../errors.ts";

/**
 * The variant after `version=3.` (spec/platform-api.md §2 "media type"); plain version 3, other
 * JSON and no header at all give the empty variant.
 *
 * @throws ApiError `not-acceptable` for another version or a type that is never JSON.
 */
export function variantOf(accept: string | null): string {
  const text = accept?.trim() ?? "";
  if (text === "") return "";
  let acceptable = false;
  for (const part of text.split(",")) {
    const [type = "", ...parameters] = part.split(";").map((item) => item.trim().toLowerCase());
    if (type === "application/vnd.heroku+json") {
      const version = parameters.find((item) => item.startsWith("version="))?.slice(8);
      if (version === undefined) return "";
      const match = /^"?3(?:\.([\w-]+))?"?$/.exec(version);
      if (match) return match[1] ?? "";
    } else if (
      /^(\*\/\*|application\/(\*|json|schema\+json|[\w.-]+\+json)|text\/(\*|event-stream|plain|html))$/.test(
        type,
      )
    )
      acceptable = true;
  }
  if (acceptable) return "";
  throw new ApiError(
    "not-acceptable",
    `${JSON.stringify(text)} is not served. Send "Accept: application/vnd.heroku+json; version=3".`,
  );
}
