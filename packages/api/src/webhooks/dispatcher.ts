import { createHmac } from "node:crypto";
import PQueue from "p-queue";
import { isoTime } from "../clock.ts";
import { messageOf, type Platform } from "../platform/platform.ts";
import type { DeliveryRow, WebhookRow } from "../store/tables.ts";
import { deliveryBody } from "./document.ts";
import { postJson } from "./post.ts";

const minute = 60_000;
/** Waits before the second and later attempts; the last one repeats. */
const delaysMs = [1, 2, 5, 10, 30, 60, 120].map((minutes) => minutes * minute);
const giveUpMs = 72 * 60 * minute;
const batch = 100;

/** Delivers events to webhooks from the table of deliveries, so that a restart loses none. */
export class WebhookDispatcher {
  readonly #platform: Platform;
  readonly #allowPrivate: boolean;
  readonly #queue = new PQueue({ concurrency: 10 });
  readonly #busy = new Set<string>();
  readonly #unsubscribe: () => void;
  #timer: unknown;
  #scanning: Promise<void> | undefined;
  #again = false;

  constructor(platform: Platform, options: { readonly allowPrivate: boolean }) {
    this.#platform = platform;
    this.#allowPrivate = options.allowPrivate;
    this.#unsubscribe = platform.events.onWake(() => this.#scan());
    this.#scan();
  }

  /** Looks for what is due; a call during a look makes another one follow. */
  #scan(): void {
    if (this.#platform.closing.signal.aborted) return;
    if (this.#scanning !== undefined) {
      this.#again = true;
      return;
    }
    this.#scanning = this.#look()
      .catch((error: unknown) => {
        this.#platform.logger.error({ error: messageOf(error) }, "webhooks were not looked up");
      })
      .finally(() => {
        this.#scanning = undefined;
        if (!this.#again) return;
        this.#again = false;
        this.#scan();
      });
  }

  async #look(): Promise<void> {
    const { db, clock, presence } = this.#platform;
    // Of several processes on one store, one delivers; it is woken when it becomes that one.
    if (!presence.leader) return;
    const rows = await db
      .selectFrom("deliveries")
      .selectAll()
      .where("status", "in", ["pending", "retrying"])
      .orderBy("next_attempt_at")
      .limit(batch)
      .execute();
    const now = this.#platform.now();
    let wakeAt: number | undefined;
    for (const row of rows) {
      if (this.#busy.has(row.id)) continue;
      const due = row.next_attempt_at ?? now;
      if (due > now) {
        wakeAt = Date.parse(due);
        break;
      }
      this.#busy.add(row.id);
      void this.#queue.add(async () => {
        try {
          await this.#attempt(row);
        } catch (error) {
          this.#platform.logger.error({ error: messageOf(error) }, "a delivery failed to be noted");
        } finally {
          this.#busy.delete(row.id);
          if (this.#queue.size === 0) this.#scan();
        }
      });
    }
    clock.clearTimeout(this.#timer);
    if (wakeAt !== undefined)
      this.#timer = clock.setTimeout(() => this.#scan(), Math.max(100, wakeAt - clock.now()));
  }

  async #attempt(delivery: DeliveryRow): Promise<void> {
    const { db, secrets, clock, closing } = this.#platform;
    const webhook = await db
      .selectFrom("webhooks")
      .selectAll()
      .where("id", "=", delivery.webhook_id)
      .executeTakeFirst();
    const event = await db
      .selectFrom("events")
      .selectAll()
      .where("id", "=", delivery.event_id)
      .executeTakeFirst();
    if (!webhook || !event) {
      await db.deleteFrom("deliveries").where("id", "=", delivery.id).execute();
      return;
    }
    const body = deliveryBody(
      event,
      { attempt: this.#platform.uuid(), delivery: delivery.id, webhook: webhook.id },
      this.#platform.now(),
    );
    const secret = secrets.open(webhook.sealed_secret, `webhook:${webhook.id}`);
    const authorization =
      webhook.sealed_authorization === null
        ? undefined
        : secrets.open(webhook.sealed_authorization, `webhook-authorization:${webhook.id}`);
    const { code, error } = await postJson(
      webhook.url,
      body,
      {
        "content-type": "application/json",
        "user-agent": "dynokit-webhooks",
        "heroku-webhook-hmac-sha256": createHmac("sha256", secret).update(body).digest("base64"),
        ...(authorization === undefined ? {} : { authorization }),
      },
      { allowPrivate: this.#allowPrivate, signal: closing.signal },
    );
    // An attempt that our own end broke off is made again after the next start.
    if (closing.signal.aborted) return;
    const good = code !== null && code >= 200 && code < 300;
    const failingSince = good ? null : (webhook.failing_since ?? this.#platform.now());
    const age = clock.now() - Date.parse(event.created_at);
    const failedLong = failingSince !== null && clock.now() - Date.parse(failingSince) > giveUpMs;
    const mayRetry = !good && webhook.level === "sync" && age < giveUpMs;
    const retry = mayRetry && !failedLong;
    const attempts = delivery.attempts + 1;
    const delay = delaysMs[Math.min(attempts - 1, delaysMs.length - 1)] ?? minute;
    await this.#note(delivery, webhook, {
      status: good ? "succeeded" : retry ? "retrying" : mayRetry ? "skipped" : "failed",
      attempts,
      next_attempt_at: retry ? isoTime(clock.now() + delay) : null,
      last_at: this.#platform.now(),
      last_code: code,
      last_error: good ? null : (error ?? `status-${code}`),
      failing_since: failingSince,
    });
  }

  async #note(
    delivery: DeliveryRow,
    webhook: WebhookRow,
    { failing_since, ...change }: Partial<DeliveryRow> & { failing_since: string | null },
  ): Promise<void> {
    await this.#platform.store.write(async (tx) => {
      const app = await tx
        .selectFrom("apps")
        .select("id")
        .where("id", "=", delivery.app_id)
        .executeTakeFirst();
      if (!app && change.status !== "retrying") {
        // It was kept to tell of its app's end.
        await tx.deleteFrom("deliveries").where("webhook_id", "=", webhook.id).execute();
        await tx.deleteFrom("webhooks").where("id", "=", webhook.id).execute();
        return;
      }
      await tx
        .updateTable("deliveries")
        .set({ ...change, updated_at: this.#platform.now() })
        .where("id", "=", delivery.id)
        .execute();
      if (failing_since !== webhook.failing_since)
        await tx
          .updateTable("webhooks")
          .set({ failing_since })
          .where("id", "=", webhook.id)
          .execute();
    });
  }

  /** Waits for attempts under way; they are broken off by the platform's own end. */
  async close(): Promise<void> {
    this.#unsubscribe();
    this.#platform.clock.clearTimeout(this.#timer);
    this.#queue.clear();
    await this.#scanning;
    await this.#queue.onIdle();
    this.#platform.clock.clearTimeout(this.#timer);
  }
}
