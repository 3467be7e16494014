import type { DynoPort, ExitPort, OneOffSessionPort } from "../ports.ts";
import { presentRun } from "../resources/run.ts";
import type { AppRow, RunRow } from "../store/tables.ts";
import { messageOf, type Platform, systemActor, type Unit } from "./platform.ts";

/** Runs that have ended which an app keeps. */
const kept = 500;

/** Notes a one-off dyno that was started, and forgets the oldest of those that ended. */
export async function recordRun(
  platform: Platform,
  unit: Unit,
  app: AppRow,
  dyno: DynoPort,
  size: string,
): Promise<RunRow> {
  const { tx, now, actor } = unit;
  const { last } = await tx
    .selectFrom("runs")
    .select((expression) => expression.fn.max("number").as("last"))
    .where("app_id", "=", app.id)
    .executeTakeFirstOrThrow();
  const number = Number(last ?? 0) + 1;
  const row: RunRow = {
    id: dyno.id,
    app_id: app.id,
    number,
    name: dyno.dyno,
    type: dyno.type,
    command: dyno.command,
    size,
    release_id: dyno.release.id,
    release_version: dyno.release.version,
    status: "running",
    exit_code: null,
    signal: null,
    error: null,
    ended_at: null,
    user_id: actor.id,
    user_email: actor.email,
    owner: platform.presence.id,
    created_at: now,
    updated_at: now,
  };
  await tx.insertInto("runs").values(row).execute();
  await tx
    .deleteFrom("runs")
    .where("app_id", "=", app.id)
    .where("number", "<=", number - kept)
    .where("status", "!=", "running")
    .execute();
  return row;
}

/** Notes how a run ended; the first to tell counts, but an end that was seen replaces a lost one. */
export async function endRun(
  platform: Platform,
  id: string,
  exit: ExitPort | undefined,
): Promise<void> {
  const open = exit ? ["running", "lost"] : ["running"];
  const find = platform.db
    .selectFrom("runs")
    .selectAll()
    .where("id", "=", id)
    .where("status", "in", open);
  if (!(await find.executeTakeFirst())) return;
  await platform.write(systemActor, async (unit) => {
    const { tx, now } = unit;
    const before = await tx
      .selectFrom("runs")
      .selectAll()
      .where("id", "=", id)
      .where("status", "in", open)
      .executeTakeFirst();
    if (!before) return;
    const end = {
      status: exit ? "ended" : "lost",
      exit_code: exit?.exitCode ?? null,
      signal: exit?.signal ?? null,
      error: exit?.error ?? null,
      ended_at: now,
      updated_at: now,
    };
    await tx.updateTable("runs").set(end).where("id", "=", id).execute();
    const app = await tx
      .selectFrom("apps")
      .select(["id", "name"])
      .where("id", "=", before.app_id)
      .executeTakeFirst();
    if (!app) return;
    unit.event({
      app: app.id,
      resource: "run",
      action: "update",
      data: presentRun(app, { ...before, ...end }),
      previous: { status: before.status },
    });
  });
}

/**
 * Notes the end of a run when it comes. Not waited for at the close of the API: the dyno may
 * outlive it, and its end is then told by the manifold of the next one.
 */
export function watchRun(platform: Platform, session: OneOffSessionPort): void {
  const { signal } = platform.closing;
  session.wait({ signal }).then(
    (exit) => {
      if (signal.aborted) return;
      platform.background("noting the end of a run", () => endRun(platform, session.dyno.id, exit));
    },
    (error: unknown) => {
      if (!signal.aborted)
        platform.logger.warn({ error: messageOf(error) }, "the end of a run was not seen");
    },
  );
}

/** Runs of processes that are gone: taken over when their dyno is here, else lost. */
export async function adoptRuns(platform: Platform, dead: readonly number[]): Promise<void> {
  const left = await platform.db
    .selectFrom("runs")
    .select(["id", "app_id"])
    .where("status", "=", "running")
    .where("owner", "in", dead)
    .execute();
  for (const { id, app_id: app } of left)
    if (platform.manifold.ps(app).some((dyno) => dyno.id === id))
      await platform.db
        .updateTable("runs")
        .set({ owner: platform.presence.id })
        .where("id", "=", id)
        .execute();
    else await endRun(platform, id, undefined);
}
