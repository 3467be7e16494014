import { createHash } from "node:crypto";
import { z } from "zod";

/** Lower-case UUID. */
export const uuid = z
  .string()
  .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "is not a UUID");

/** ISO 8601, UTC, whole seconds. */
export const timestamp = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  .meta({ format: "date-time" });

/** `{id, name}`, how a resource points at another. */
export const reference = z.strictObject({ id: uuid, name: z.string() });

/** The account behind something. */
export const userReference = z.strictObject({ email: z.string(), id: uuid });

/** `^[a-z][a-z0-9-]{1,28}[a-z0-9]$` (spec/platform-api.md §2 "names"). */
export const appName = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{1,28}[a-z0-9]$/,
    "must start with a letter, end with a letter or digit and can only contain lower-case letters, digits and dashes, 3 to 30 in all",
  );

/** Names a thing by id or name. */
export const identity = z.string().min(1).max(256);

/** What a request may give as a reference: an id or name, or an object with one of them. */
export const identityInput = z.union([
  identity,
  z.object({ id: identity.optional(), name: identity.optional() }),
]);

/** The id or name out of {@link identityInput}. */
export function identityOf(input: z.output<typeof identityInput>): string {
  return typeof input === "string" ? input : (input.id ?? input.name ?? "");
}

/** Whether a path parameter has the form of an id. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}

/** A stable id for something that is known by its name alone, such as a dyno size. */
export function nameUuid(name: string): string {
  const hex = createHash("sha256").update(`dynokit:${name}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
