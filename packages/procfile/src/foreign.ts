import type { LineNode } from "./tree.ts";

/**
 * Tells whether the lines are of a YAML or JSON document; `null` when they are not. Looks only at
 * shapes that no line of a working Procfile can have.
 */
export function looksForeign(lines: readonly LineNode[]): "YAML" | "JSON" | null {
  let parent = false;
  let first = true;
  for (const { kind, text } of lines) {
    if (kind === "blank" || kind === "comment") continue;
    if (first) {
      const start = text.trimStart();
      if (/^[{[]/.test(start) && kind === "invalid") return "JSON";
      if (/^(---|- )/.test(text) && kind === "invalid") return "YAML";
      first = false;
    }
    // `web:` with nothing after it and an indented line below is a YAML mapping.
    if (parent && /^[ \t]+(- |[^\s#][^:]*:)/.test(text.slice(0, 256))) return "YAML";
    parent = kind === "invalid" && /^[\w.-]+:$/.test(text.trimEnd());
  }
  return null;
}
