import { randomUUID } from "node:crypto";
import { isoTime, systemClock } from "../clock.ts";
import { notFound } from "../errors.ts";
import { eventRow, insertEvents } from "../events/record.ts";
import { systemActor } from "../platform/platform.ts";
import { hashPassword } from "../secrets.ts";
import type { Store } from "../store/store.ts";
import { checkPassword } from "./accounts.ts";

/**
 * Gives an account a password where no API runs, such as after a forgotten one.
 *
 * @throws ApiError `not-found` for an e-mail without account, `invalid-params` for one that is no
 * password.
 */
export async function storePassword(store: Store, email: string, password: string): Promise<void> {
  checkPassword(password);
  const passwordHash = await hashPassword(password);
  const now = isoTime(systemClock.now());
  await store.write(async (tx) => {
    const account = await tx
      .selectFrom("accounts")
      .select(["id", "email"])
      .where("email", "=", email.toLowerCase())
      .executeTakeFirst();
    if (!account) throw notFound("account");
    await tx
      .updateTable("accounts")
      .set({ password_hash: passwordHash, updated_at: now })
      .where("id", "=", account.id)
      .execute();
    const event = eventRow({
      id: randomUUID(),
      now,
      actor: systemActor,
      resource: "account",
      action: "update",
      data: { ...account, password_changed: true },
    });
    await insertEvents(tx, [event]);
  });
}
