import { z } from "zod";
import { presentTime } from "../clock.ts";
import type { AppRow, RunRow } from "../store/tables.ts";
import { reference, timestamp, userReference, uuid } from "./common.ts";

export const runSchema = z
  .strictObject({
    app: reference,
    command: z.string(),
    created_at: timestamp,
    dyno: reference,
    ended_at: timestamp.nullable(),
    error: z.string().nullable(),
    exit_code: z.int().nullable(),
    id: uuid,
    number: z.int(),
    release: z.strictObject({ id: uuid, version: z.int() }),
    signal: z.string().nullable(),
    size: z.string(),
    status: z.enum(["running", "ended", "lost"]),
    type: z.string(),
    updated_at: timestamp,
    user: userReference,
  })
  .meta({ id: "run" });

export type RunDocument = z.output<typeof runSchema>;

export function presentRun(app: Pick<AppRow, "id" | "name">, row: RunRow): RunDocument {
  return {
    app: { id: app.id, name: app.name },
    command: row.command,
    created_at: presentTime(row.created_at),
    dyno: { id: row.id, name: row.name },
    ended_at: row.ended_at === null ? null : presentTime(row.ended_at),
    error: row.error,
    exit_code: row.exit_code,
    id: row.id,
    number: row.number,
    release: { id: row.release_id, version: row.release_version },
    signal: row.signal,
    size: row.size,
    status: row.status as RunDocument["status"],
    type: row.type,
    updated_at: presentTime(row.updated_at),
    user: { email: row.user_email, id: row.user_id },
  };
}
