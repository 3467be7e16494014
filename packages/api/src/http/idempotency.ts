import { ApiError } from "../errors.ts";
import type { Platform } from "../platform/platform.ts";
import { sha256 } from "../secrets.ts";
import { type Outcome, toResponse } from "./answer.ts";
import type { Call } from "./dispatch.ts";
import type { Context } from "./endpoint.ts";

const keepMs = 24 * 60 * 60 * 1000;
const keptHeaders = ["content-type", "etag", "heroku-webhook-secret"];

/** What a request with an `Idempotency-Key` has to do around its handler. */
export interface Idempotent {
  /** Set when the key was used before: the answer of then. */
  readonly replay?: (headers: Record<string, string>) => Response;
  finish(outcome: Outcome): Promise<void>;
  abandon(): Promise<void>;
}

/**
 * Makes a POST with an `Idempotency-Key` happen once: a repetition within 24 h gets the first
 * answer again. Failed requests are not kept, so they can be repeated.
 */
export async function beginIdempotent(
  platform: Platform,
  call: Call,
  context: Context,
  body: unknown,
): Promise<Idempotent | undefined> {
  const key = call.request.headers.get("idempotency-key");
  if (key === null || call.endpoint.method !== "POST" || call.endpoint.open) return undefined;
  if (key.length < 1 || key.length > 255)
    throw new ApiError("bad-request", "An Idempotency-Key has 1 to 255 characters.");
  const accountId = context.account.id;
  const fingerprint = sha256(
    `${call.request.method} ${new URL(call.request.url).pathname}\n${JSON.stringify(body ?? null)}`,
  );
  const seal = `idempotency:${accountId}:${key}`;
  const now = platform.now();
  const oldest = new Date(platform.clock.now() - keepMs).toISOString();
  const found = await platform.store.write(async (tx) => {
    await tx.deleteFrom("idempotency").where("created_at", "<", oldest).execute();
    const row = await tx
      .selectFrom("idempotency")
      .selectAll()
      .where("account_id", "=", accountId)
      .where("key", "=", key)
      .executeTakeFirst();
    if (row) return row;
    await tx
      .insertInto("idempotency")
      .values({
        account_id: accountId,
        key,
        fingerprint,
        status: 0,
        headers: "{}",
        sealed_body: "",
        owner: platform.presence.id,
        created_at: now,
      })
      .execute();
    return undefined;
  });
  if (found) {
    if (found.fingerprint !== fingerprint)
      throw new ApiError(
        "invalid-params",
        "This Idempotency-Key was used for another request. Use a new key.",
      );
    if (found.status === 0)
      throw new ApiError("conflict", "The first request with this Idempotency-Key still runs.");
    return {
      replay: (headers) =>
        new Response(platform.secrets.open(found.sealed_body, seal), {
          status: found.status,
          headers: { ...headers, ...JSON.parse(found.headers), "Idempotent-Replayed": "true" },
        }),
      finish: async () => {},
      abandon: async () => {},
    };
  }
  const row = () =>
    platform.db
      .updateTable("idempotency")
      .where("account_id", "=", accountId)
      .where("key", "=", key);
  return {
    finish: async (outcome) => {
      const response = outcome instanceof Response ? outcome.clone() : toResponse(outcome);
      const kept = keptHeaders.flatMap((name) => {
        const value = response.headers.get(name);
        return value === null ? [] : [[name, value]];
      });
      await row()
        .set({
          status: response.status,
          headers: JSON.stringify(Object.fromEntries(kept)),
          sealed_body: platform.secrets.seal(await response.text(), seal),
        })
        .execute();
    },
    abandon: async () => {
      await platform.db
        .deleteFrom("idempotency")
        .where("account_id", "=", accountId)
        .where("key", "=", key)
        .execute();
    },
  };
}
