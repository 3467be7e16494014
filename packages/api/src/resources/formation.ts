import { z } from "zod";
import { presentTime } from "../clock.ts";
import type { AppRow, ProcessRow } from "../store/tables.ts";
import { sizeReference } from "./catalog.ts";
import { reference, timestamp, uuid } from "./common.ts";

export const formationSchema = z
  .strictObject({
    app: reference,
    command: z.string(),
    created_at: timestamp,
    dyno_size: reference,
    id: uuid,
    quantity: z.int(),
    size: z.string(),
    type: z.string(),
    updated_at: timestamp,
  })
  .meta({ id: "formation" });

export type FormationDocument = z.output<typeof formationSchema>;

export function presentProcess(app: AppRow, row: ProcessRow, command: string): FormationDocument {
  return {
    app: { id: app.id, name: app.name },
    command,
    created_at: presentTime(row.created_at),
    dyno_size: sizeReference(row.size),
    id: row.id,
    quantity: row.quantity,
    size: row.size,
    type: row.type,
    updated_at: presentTime(row.updated_at),
  };
}
