import { ApiError } from "../errors.ts";

const defaultMax = 200;
const limitMax = 1000;

interface Bound {
  readonly value: string;
  readonly exclusive: boolean;
}

/** A parsed `Range` header. */
export interface RangeRequest {
  readonly field: string;
  readonly from: Bound | undefined;
  readonly to: Bound | undefined;
  readonly max: number;
  readonly descending: boolean;
}

function bad(message: string, fields: readonly string[]): ApiError {
  return new ApiError(
    "bad-range",
    `${message} Send "Range: ${fields[0]} ..; max=200" with one of the fields ${fields.join(", ")}.`,
    { headers: { "Accept-Ranges": fields.join(", ") } },
  );
}

/**
 * Reads `<field> [from]..[to]; max=N, order=asc|desc`; `]from` and `to[` leave the bound itself
 * out. An empty header is no header. `from` and `to` name a set; `order` says how it is walked.
 */
export function parseRange(
  header: string | null,
  fields: readonly [string, ...string[]],
): RangeRequest {
  const text = header?.trim() ?? "";
  if (text === "")
    return { field: fields[0], from: undefined, to: undefined, max: defaultMax, descending: false };
  const [selection = "", ...rest] = text.split(/[;,]/).map((part) => part.trim());
  const match = /^(\S+)\s+(.*?)\.\.(.*)$/.exec(selection);
  if (!match) throw bad("The Range header can't be read.", fields);
  const [from, to] = [bound(match[2] as string, fields), bound(match[3] as string, fields)];
  // heroku-client names the id with every request, also for the few lists whose items have none.
  const whole = from === undefined && to === undefined;
  const field = match[1] === "id" && whole && !fields.includes("id") ? fields[0] : String(match[1]);
  if (!fields.includes(field)) throw bad(`There is no range of ${JSON.stringify(field)}.`, fields);
  let max = defaultMax;
  let descending = false;
  for (const part of rest) {
    if (part === "") continue;
    const [key, value = ""] = part.split("=").map((item) => item.trim());
    if (key === "max") {
      if (!/^\d{1,9}$/.test(value) || Number(value) < 1)
        throw bad(`max=${value} of the Range header is not a positive number.`, fields);
      max = Math.min(Number(value), limitMax);
    } else if (key === "order") {
      if (value !== "asc" && value !== "desc")
        throw bad(`order=${value} of the Range header is neither asc nor desc.`, fields);
      descending = value === "desc";
    } else throw bad(`The Range header has an unknown part ${JSON.stringify(part)}.`, fields);
  }
  return {
    field,
    from,
    to,
    max,
    descending,
  };
}

function bound(text: string, fields: readonly string[]): Bound | undefined {
  const match = /^([[\]]?)\s*(.*?)\s*([[\]]?)$/.exec(text.trim());
  if (!match) throw bad("A bound of the Range header can't be read.", fields);
  const value = match[2] as string;
  if (value === "") return undefined;
  return { value, exclusive: match[1] === "]" || match[3] === "[" };
}

type Item = Readonly<Record<string, unknown>>;

function compare(a: unknown, b: unknown): number {
  if (typeof a === "number") return a - Number(b);
  const [left, right] = [String(a), String(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** One page of a list with the headers that belong to it. */
export interface Page {
  readonly items: readonly Item[];
  readonly status: 200 | 206;
  readonly headers: Readonly<Record<string, string>>;
}

/** Cuts a page out of a whole list. */
export function pageOf(
  items: readonly Item[],
  range: RangeRequest,
  fields: readonly string[],
): Page {
  const { field, from, to, max, descending } = range;
  if (items.length > 0 && typeof items[0]?.[field] === "number")
    for (const edge of [from, to])
      if (edge && !/^-?\d+$/.test(edge.value))
        throw bad(`${JSON.stringify(edge.value)} is not a ${field}.`, fields);
  const inside = items.filter((item) => {
    const value = item[field];
    if (from) {
      const order = compare(value, from.value);
      if (order < 0 || (order === 0 && from.exclusive)) return false;
    }
    if (to) {
      const order = compare(value, to.value);
      if (order > 0 || (order === 0 && to.exclusive)) return false;
    }
    return true;
  });
  inside.sort((a, b) => (descending ? -1 : 1) * compare(a[field], b[field]));
  const page = inside.slice(0, max);
  const headers: Record<string, string> = { "Accept-Ranges": fields.join(", ") };
  const last = page.at(-1)?.[field];
  if (page.length > 0) headers["Content-Range"] = `${field} ${page[0]?.[field]}..${last}`;
  if (inside.length <= page.length) return { items: page, status: 200, headers };
  const low = from ? `${from.exclusive ? "]" : ""}${from.value}` : "";
  const high = to ? `${to.value}${to.exclusive ? "[" : ""}` : "";
  headers["Next-Range"] = descending
    ? `${field} ${low}..${last}[; max=${max}, order=desc`
    : `${field} ]${last}..${high}; max=${max}`;
  return { items: page, status: 206, headers };
}
