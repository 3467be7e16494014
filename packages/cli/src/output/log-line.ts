import type { Terminal } from "./terminal.ts";

const form = /^(\S+) ([^\s[]+)(?:\[([^\]]*)\])?: ?(.*)$/s;

/** Colours a log line by its process; `router` and `api` have colours of their own. */
export function paintLogLine(line: string, { colour }: Terminal): string {
  const match = form.exec(line);
  if (!match) return line;
  const [, time, source, process = "", body = ""] = match;
  const label = process === "" ? source : `${source}[${process}]`;
  return `${colour.dim(time as string)} ${paintSource(process, colour)(`${label}:`)} ${paintBody(body, colour)}`;
}

function paintSource(process: string, colour: Terminal["colour"]): (text: string) => string {
  const type = process.split(".")[0] as string;
  if (type === "router") return colour.magenta;
  if (type === "api") return colour.yellow;
  const hues = [colour.cyan, colour.green, colour.blue, colour.magenta, colour.yellow];
  let hash = 0;
  for (const character of type) hash = (hash * 31 + character.charCodeAt(0)) >>> 0;
  return hues[hash % hues.length] as (text: string) => string;
}

function paintBody(body: string, colour: Terminal["colour"]): string {
  if (/\bError [RL]\d\d\b|\bat=error\b|\bcode=H\d\d\b/.test(body)) return colour.red(body);
  if (/^State changed\b/.test(body)) return colour.bold(body);
  return body;
}
