/** What can be done with a drain, and by which method. */
const OPERATIONS: ReadonlyMap<string, string> = new Map([
  ["test", "POST"],
  ["preview", "GET"],
  ["replay", "POST"],
  ["pause", "POST"],
  ["resume", "POST"],
]);

/** Methods of what belongs to no channel. */
const GENERAL: ReadonlyMap<string, readonly string[]> = new Map([
  ["sessions", ["POST"]],
  ["switches", ["GET", "PATCH"]],
  ["tails", ["DELETE"]],
  ["firehose", ["GET"]],
]);

const ITEM = ["GET", "PUT", "DELETE"] as const;

/** The parts of a path below `/v3/`, with or without a slash behind; undefined: badly encoded. */
export function segmentsOf(pathname: string): string[] | undefined {
  try {
    return pathname
      .replace(/\/$/, "")
      .split("/")
      .slice(2)
      .map((part) => decodeURIComponent(part));
  } catch {
    return undefined;
  }
}

/** The methods that a path takes; undefined: there is nothing. */
export function methodsOf(segments: readonly string[]): readonly string[] | undefined {
  const [kind = "", id, part, item, action, ...more] = segments;
  if (kind !== "channels") return segments.length === 1 ? GENERAL.get(kind) : undefined;
  if (id === undefined || id === "" || more.length > 0) return undefined;
  if (part === undefined) return ITEM;
  if (part === "drains") {
    if (item === undefined) return ["GET", "POST"];
    if (action === undefined) return ITEM;
    const method = OPERATIONS.get(action);
    return method === undefined ? undefined : [method];
  }
  if (item !== undefined) return undefined;
  if (part === "tokens") return ["POST"];
  return part === "logs" ? ["GET"] : undefined;
}
