import type { StageRun } from "../pipeline.ts";
import type { Regex } from "../regex/regex.ts";
import { MessageView } from "../view.ts";

/** Keys of a router line (spec/logplex.md §15). */
const ROUTER_KEYS = new Set([
  "at",
  "method",
  "path",
  "host",
  "request_id",
  "fwd",
  "dyno",
  "connect",
  "service",
  "status",
  "bytes",
  "protocol",
  "code",
  "desc",
  "tls_version",
]);

/** Chooses where later stages find keys; a line that does not fit simply has none. */
export function createParse(
  format: "json" | "logfmt" | "router" | "regex",
  regex: Regex | undefined,
): StageRun {
  const view = new MessageView();
  return {
    push(row, emit) {
      const { message } = row;
      if (format === "json" || format === "logfmt") {
        emit({ message, keys: { kind: format } });
        return;
      }
      view.reset(message, { kind: "logfmt" });
      const values = new Map<string, string>();
      if (format === "router") {
        for (const [key, value] of view.pairs) if (ROUTER_KEYS.has(key)) values.set(key, value);
      } else if (regex) {
        const bounds = regex.find(view.bytes);
        for (const [name, group] of regex.names) {
          const from = bounds?.[group * 2] ?? -1;
          if (from < 0) continue;
          values.set(name, view.bytes.toString("utf8", from, bounds?.[group * 2 + 1]));
        }
      }
      emit({ message, keys: { kind: "map", values } });
    },
  };
}
