import { z } from "zod";
import { ApiError, invalid, notFound } from "../errors.ts";
import { type Context, defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { processesOfApp, processTypesOf, reconcile, slugById } from "../platform/desired.ts";
import type { Unit } from "../platform/platform.ts";
import { currentRelease } from "../platform/running.ts";
import { dynoSizes, findNamed } from "../resources/catalog.ts";
import { identityInput, identityOf } from "../resources/common.ts";
import { type FormationDocument, formationSchema, presentProcess } from "../resources/formation.ts";
import type { Queries } from "../store/store.ts";
import type { AppRow, ProcessRow } from "../store/tables.ts";

/** Dynos of one process type (spec/dynos.md §11). */
const maxQuantity = 100;

const change = z.object({
  quantity: z
    .union([z.int(), z.string().regex(/^[+-]?\d{1,9}$/, "is not a number, +N or -N")])
    .nullish(),
  size: z.string().max(100).nullish(),
  dyno_size: identityInput.nullish(),
});
const batch = z.object({
  updates: z.array(change.extend({ type: z.string().min(1).max(128) })).max(200),
});

interface ProcessWithCommand {
  readonly row: ProcessRow;
  readonly command: string;
}

/** Types of the present code, in the order of their names. */
async function processesOf(queries: Queries, app: AppRow): Promise<ProcessWithCommand[]> {
  const release = await currentRelease(queries, app.id);
  const slug = release?.slug_id ? await slugById(queries, release.slug_id) : undefined;
  const commands = processTypesOf(slug);
  const rows = await processesOfApp.all(queries, { app: app.id });
  return rows.flatMap((row) => {
    const command = commands[row.type];
    return command === undefined ? [] : [{ row, command }];
  });
}

function processBy(list: readonly ProcessWithCommand[], key: string): ProcessWithCommand {
  const found = list.find(({ row }) => row.id === key || row.type === key);
  if (!found)
    throw new ApiError("not-found", `Couldn't find that process type (${key.slice(0, 128)}).`, {
      resource: "formation",
    });
  return found;
}

function quantityOf(
  before: number,
  wanted: string | number | null | undefined,
  type: string,
): number {
  if (wanted === null || wanted === undefined) return before;
  const relative = typeof wanted === "string" && /^[+-]/.test(wanted);
  const quantity = relative ? before + Number(wanted) : Number(wanted);
  if (quantity < 0)
    throw invalid(
      "quantity",
      `${type} has ${before} dynos: ${wanted} would make ${quantity}. The least is 0.`,
    );
  if (quantity > maxQuantity)
    throw invalid(
      "quantity",
      `${type} can have at most ${maxQuantity} dynos; ${quantity} are too many.`,
    );
  return quantity;
}

function sizeOf(before: string, update: z.output<typeof change>): string {
  const wanted = update.size ?? (update.dyno_size ? identityOf(update.dyno_size) : undefined);
  if (wanted === undefined || wanted === null || wanted === "") return before;
  const size = findNamed(dynoSizes, wanted);
  if (!size)
    throw invalid(
      "size",
      `There is no dyno size ${JSON.stringify(wanted)}. Use ${dynoSizes.map(({ name }) => name).join(", ")}.`,
    );
  return size.name;
}

type Update = z.output<typeof change> & { readonly type: string };

async function scale(
  { platform, app, actor }: Pick<Context, "platform" | "app" | "actor">,
  unit: Unit,
  updates: readonly Update[],
): Promise<FormationDocument[]> {
  const list = await processesOf(unit.tx, app);
  const seen = new Set<string>();
  const documents: FormationDocument[] = [];
  const changed = new Map<string, ProcessRow>();
  for (const update of updates) {
    const { row, command } = processBy(list, update.type);
    if (seen.has(row.type))
      throw invalid("updates", `${row.type} is named twice. Give each process type once.`);
    seen.add(row.type);
    const next: ProcessRow = {
      ...row,
      quantity: quantityOf(row.quantity, update.quantity, row.type),
      size: sizeOf(row.size, update),
      updated_at: unit.now,
    };
    const document = presentProcess(app, next, command);
    documents.push(document);
    if (next.quantity === row.quantity && next.size === row.size) continue;
    changed.set(row.type, next);
    await unit.tx
      .updateTable("processes")
      .set({ quantity: next.quantity, size: next.size, updated_at: unit.now })
      .where("id", "=", row.id)
      .execute();
    unit.event({
      app: app.id,
      resource: "formation",
      action: "update",
      data: document,
      previous: {
        ...(next.quantity === row.quantity ? {} : { quantity: row.quantity }),
        ...(next.size === row.size ? {} : { size: row.size }),
      },
    });
  }
  if (changed.size > 0)
    unit.after(async () => {
      const all = list
        .map(({ row }) => changed.get(row.type) ?? row)
        .map(({ type, quantity, size }) => `${type}@${quantity}:${size}`);
      platform.say(app.id, `Scaled to ${all.join(" ")} by user ${actor.email}`);
      await reconcile(platform, app.id);
    });
  return documents;
}

const previewSchema = z.strictObject({
  start: z.array(z.string()),
  stop: z.array(z.string()),
  formation: z.array(formationSchema),
});

/** Names of the dynos that a formation would start and stop. */
function dynoChanges(
  { platform, app }: Pick<Context, "platform" | "app">,
  formation: readonly FormationDocument[],
): { readonly start: string[]; readonly stop: string[] } {
  const running = platform.manifold.ps(app.id);
  const start: string[] = [];
  const stop: string[] = [];
  for (const { type, quantity } of formation) {
    const names = running.filter((dyno) => dyno.type === type).map(({ dyno }) => dyno);
    for (let number = 1; number <= quantity; number++)
      if (!names.includes(`${type}.${number}`)) start.push(`${type}.${number}`);
    stop.push(...names.filter((name) => Number(name.slice(type.length + 1)) > quantity));
  }
  return { start, stop };
}

export const formationEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "formation",
    title: "List",
    method: "GET",
    path: "/apps/{app}/formation",
    verb: "read",
    summary: "Lists the process types of an app with their quantities and sizes.",
    response: formationSchema,
    ranges: ["type", "id"],
    handler: async ({ platform, app }) =>
      (await processesOf(platform.db, app)).map(({ row, command }) =>
        presentProcess(app, row, command),
      ),
  }),
  defineEndpoint({
    resource: "formation",
    title: "Info",
    method: "GET",
    path: "/apps/{app}/formation/{formation}",
    verb: "read",
    summary: "Shows a process type, by id or name.",
    response: formationSchema,
    handler: async ({ platform, app, params }) => {
      const { row, command } = processBy(
        await processesOf(platform.db, app),
        params["formation"] ?? "",
      );
      return presentProcess(app, row, command);
    },
  }),
  defineEndpoint({
    resource: "formation",
    title: "Batch Update",
    method: "PATCH",
    path: "/apps/{app}/formation",
    verb: "operate",
    summary:
      'Scales process types: a quantity is a number, or a change such as "+1"; all or nothing.',
    body: batch,
    response: z.union([formationSchema.array(), previewSchema]),
    handler: async (context) => {
      const formation = await context.write((unit) => scale(context, unit, context.body.updates));
      return context.preview ? { ...dynoChanges(context, formation), formation } : formation;
    },
  }),
  defineEndpoint({
    resource: "formation",
    title: "Update",
    method: "PATCH",
    path: "/apps/{app}/formation/{formation}",
    verb: "operate",
    summary: "Scales one process type.",
    body: change,
    bodyOptional: true,
    response: formationSchema,
    handler: async (context) => {
      const type = context.params["formation"] ?? "";
      return await context.write(async (unit) => {
        const [document] = await scale(context, unit, [{ ...context.body, type }]);
        if (!document) throw notFound("formation");
        return document;
      });
    },
  }),
];
