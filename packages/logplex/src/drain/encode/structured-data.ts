import type { StoredMessage } from "../../message.ts";
import type { FrameAnnouncement } from "./encoder.ts";

/** Enterprise number of our private elements: the one that RFC 5612 sets aside. */
const ENTERPRISE = 32473;

/**
 * STRUCTURED-DATA of a message, `-` when it has none. Pieces of a long line carry
 * `[split@32473 group="…" i="1" n="3"]` so that a receiver can join them (spec/logplex.md §4.6).
 */
export function structuredData(message: Pick<StoredMessage, "sd" | "split">): string {
  const { sd, split } = message;
  if (sd.length === 0 && !split) return "-";
  let out = "";
  const seen = new Set<string>();
  for (const element of sd) {
    const id = name(element.id);
    // An id may appear only once per message (RFC 5424 §6.3.2).
    if (seen.has(id)) continue;
    seen.add(id);
    out += `[${id}${element.params.map(({ name: key, value }) => ` ${name(key)}="${escapeValue(value)}"`).join("")}]`;
  }
  const splitId = `split@${ENTERPRISE}`;
  if (split && !seen.has(splitId)) {
    out += `[${splitId} group="${escapeValue(split.group)}" i="${split.index}" n="${split.count}"]`;
  }
  return out;
}

/** Structured data of an L10: `[loss@32473 from="1042" to="1059" cause="overflow"]`. */
export function lossData({ fromSeq, toSeq, cause }: FrameAnnouncement): string {
  if (fromSeq === undefined || toSeq === undefined || cause === undefined) return "-";
  return `[loss@${ENTERPRISE} from="${fromSeq}" to="${toSeq}" cause="${cause}"]`;
}

/** SD-NAME: at most 32 printable ASCII characters without `=`, space, `]` and `"`. */
function name(text: string): string {
  return text.replace(/[^\x21-\x7e]|[="\]]/g, "_").slice(0, 32) || "_";
}

function escapeValue(text: string): string {
  return text.replace(/["\\\]]/g, "\\$&");
}
