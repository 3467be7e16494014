import type { EnvReport } from "./parse.ts";
import type { EnvEntry } from "./tree.ts";

const maxConfigBytes = 32 * 1024;

/** Heroku's rules for config vars (Dev Center, quoted in spec/procfile.md §4.3). */
export function checkConfigVars(entries: readonly EnvEntry[], report: EnvReport): void {
  let bytes = 0;
  for (const { name, value, nameRange } of entries) {
    const { start, end } = nameRange;
    if (name.startsWith("HEROKU_") || name.startsWith("__"))
      report(
        "reserved-key",
        start.offset,
        end.offset,
        `${name} is reserved: a config var can't begin with HEROKU_ or two underscores. Rename it.`,
      );
    const before = bytes;
    bytes += utf8Length(name) + utf8Length(value);
    if (before <= maxConfigBytes && bytes > maxConfigBytes)
      report(
        "config-too-large",
        start.offset,
        end.offset,
        `With ${name} the keys and values exceed ${maxConfigBytes} bytes together. Move large values to a file or a store.`,
      );
  }
}

function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= 0x80) bytes += unit >= 0x800 && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}
