import type { HeaderField } from "./ast.ts";

const NAMES: Readonly<Record<string, HeaderField>> = {
  source: "source",
  dyno: "dyno",
  ps: "dyno",
  procid: "dyno",
  type: "type",
  sev: "sev",
  severity: "sev",
  level: "sev",
  facility: "facility",
  msgid: "msgid",
  host: "host",
  hostname: "host",
  code: "code",
  seq: "seq",
  time: "time",
  ts: "time",
  text: "text",
  body: "text",
};

/** Names listed in error messages: one spelling per field (spec/logplex.md §8.4). */
export const HEADER_FIELDS: readonly HeaderField[] = Object.freeze([
  "source",
  "dyno",
  "type",
  "sev",
  "facility",
  "msgid",
  "host",
  "code",
  "seq",
  "time",
  "text",
]);

/** The field behind a written name; aliases are `ps`, `severity`, `level`, `hostname`, `body`, `ts`. */
export function headerField(name: string): HeaderField | undefined {
  return Object.hasOwn(NAMES, name) ? NAMES[name] : undefined;
}

/** Keys of router lines (spec/logplex.md §15); none has the name of a field. */
const ROUTER_KEYS: ReadonlySet<string> = new Set([
  ...["at", "method", "path", "request_id", "fwd", "connect", "service", "status", "bytes"],
  ...["protocol", "desc"],
]);

/** Whether a name without a dot is meant as a key of the line: those of the platform's own lines. */
export function isRouterKey(name: string): boolean {
  return ROUTER_KEYS.has(name);
}

const SEVERITIES: Readonly<Record<string, number>> = {
  emerg: 0,
  emergency: 0,
  panic: 0,
  alert: 1,
  crit: 2,
  critical: 2,
  err: 3,
  error: 3,
  warning: 4,
  warn: 4,
  notice: 5,
  info: 6,
  debug: 7,
};

/** `err` or `3` → 3; undefined for anything else. */
export function severityNumber(text: string): number | undefined {
  if (/^[0-7]$/.test(text)) return Number(text);
  const key = text.toLowerCase();
  return Object.hasOwn(SEVERITIES, key) ? SEVERITIES[key] : undefined;
}

const FACILITIES: readonly string[] = [
  "kern",
  "user",
  "mail",
  "daemon",
  "auth",
  "syslog",
  "lpr",
  "news",
  "uucp",
  "cron",
  "authpriv",
  "ftp",
  "ntp",
  "audit",
  "alert",
  "clock",
  "local0",
  "local1",
  "local2",
  "local3",
  "local4",
  "local5",
  "local6",
  "local7",
];

/** `local7` or `23` → 23; undefined for anything else. */
export function facilityNumber(text: string): number | undefined {
  if (/^(\d|1\d|2[0-3])$/.test(text)) return Number(text);
  const index = FACILITIES.indexOf(text.toLowerCase());
  return index < 0 ? undefined : index;
}
