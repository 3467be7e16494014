import { z } from "zod";
import { isoTime, presentTime } from "../clock.ts";
import type { DynoPort } from "../ports.ts";
import type { AppRow } from "../store/tables.ts";
import { dynoSizes, findNamed } from "./catalog.ts";
import { reference, timestamp, uuid } from "./common.ts";

export const dynoSchema = z
  .strictObject({
    app: reference,
    attach_url: z.string().nullable(),
    command: z.string(),
    created_at: timestamp,
    id: uuid,
    name: z.string(),
    release: z.strictObject({ id: uuid, version: z.int() }),
    size: z.string(),
    state: z.string(),
    type: z.string(),
    updated_at: timestamp,
  })
  .meta({ id: "dyno" });

export type DynoDocument = z.output<typeof dynoSchema>;

/** Heroku knows five states; the others are parts of them (spec/dynos.md §2). */
const shownStates: Readonly<Record<string, string>> = {
  provisioning: "starting",
  stopping: "down",
  complete: "down",
};

export function presentDyno(
  app: AppRow,
  dyno: DynoPort,
  attachUrl: string | null = null,
): DynoDocument {
  return {
    app: { id: app.id, name: app.name },
    attach_url: attachUrl,
    command: dyno.command,
    created_at: presentTime(isoTime(dyno.createdAt)),
    id: dyno.id,
    name: dyno.dyno,
    release: { id: dyno.release.id, version: dyno.release.version },
    size: findNamed(dynoSizes, dyno.size)?.name ?? dyno.size,
    state: shownStates[dyno.state] ?? dyno.state,
    type: dyno.type,
    updated_at: presentTime(isoTime(dyno.updatedAt)),
  };
}
