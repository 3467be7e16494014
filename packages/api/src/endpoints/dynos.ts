import { z } from "zod";
import { ApiError, invalid, notFound } from "../errors.ts";
import { type Context, defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { runInside, runOneOff } from "../platform/one-off.ts";
import { messageOf } from "../platform/platform.ts";
import { currentRelease } from "../platform/running.ts";
import { recordRun, watchRun } from "../platform/runs.ts";
import type { DynoPort } from "../ports.ts";
import { dynoSizes, findNamed } from "../resources/catalog.ts";
import { dynoSchema, presentDyno } from "../resources/dyno.ts";

function dynosOf({ platform, app }: Pick<Context, "platform" | "app">): readonly DynoPort[] {
  return platform.manifold
    .ps(app.id)
    .filter((dyno) => dyno.app === app.id && dyno.state !== "complete");
}

function dynoBy(context: Pick<Context, "platform" | "app">, key: string): DynoPort {
  const dyno = dynosOf(context).find(({ id, dyno: name }) => id === key || name === key);
  if (!dyno) throw notFound("dyno");
  return dyno;
}

/** Before version 10 the CLI put a process type where the name of a dyno belongs. */
function namesType(context: Pick<Context, "platform" | "app">, key: string): boolean {
  const dynos = dynosOf(context);
  return (
    !dynos.some(({ id, dyno }) => id === key || dyno === key) &&
    dynos.some(({ type }) => type === key)
  );
}

type Selector = { readonly dyno?: string; readonly type?: string };

/** Tells the manifold after the answer is certain; what it takes minutes for goes on behind. */
async function command(
  context: Context,
  what: "restart" | "stop",
  selector: Selector,
): Promise<Record<string, never>> {
  const { platform, app, actor, write } = context;
  if (selector.type !== undefined) {
    const type = selector.type;
    const known = await platform.db
      .selectFrom("processes")
      .select("id")
      .where("app_id", "=", app.id)
      .where("type", "=", type)
      .executeTakeFirst();
    if (!known && !dynosOf(context).some((dyno) => dyno.type === type)) throw notFound("formation");
  }
  const target = selector.dyno ?? selector.type ?? "all dynos";
  return await write(async (unit) => {
    unit.event({
      app: app.id,
      resource: "dyno",
      action: "update",
      data: { app: { id: app.id, name: app.name }, name: target, command: what },
    });
    unit.after(() => {
      platform.say(
        app.id,
        `${what === "restart" ? "Restart" : "Stop"} of ${target} by user ${actor.email}`,
      );
      if (dynosOf(context).length === 0) return;
      platform.background(`${what} of dynos`, async () => {
        try {
          await platform.manifold[what](app.id, selector);
        } catch (error) {
          platform.logger.warn({ app: app.id, error: messageOf(error) }, `a ${what} failed`);
        }
      });
    });
    return {};
  });
}

const runBody = z.object({
  command: z.string().min(1).max(65_536),
  attach: z.boolean().nullish(),
  env: z
    .record(
      z.string().regex(/^[A-Za-z_]\w*$/, "is not the name of a variable"),
      z.union([z.string(), z.number(), z.boolean()]).transform(String),
    )
    .nullish(),
  force_no_tty: z.boolean().nullish(),
  size: z.string().max(100).nullish(),
  type: z
    .string()
    .regex(/^[-\w]{1,128}$/, "is not the name of a process type")
    .nullish(),
  time_to_live: z.int().min(1).max(86_400).nullish(),
});

export const dynoEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "dyno",
    title: "Create",
    method: "POST",
    path: "/apps/{app}/dynos",
    verb: "operate",
    summary: "Runs a command in a one-off dyno with the app's code and config vars.",
    body: runBody,
    response: dynoSchema,
    status: 201,
    handler: async ({ platform, app, body, write, actor, preview }) => {
      const size = body.size ? findNamed(dynoSizes, body.size) : undefined;
      if (body.size && !size)
        throw invalid("size", `There is no dyno size ${JSON.stringify(body.size)}.`);
      const release = await currentRelease(platform.db, app.id);
      if (!release?.slug_id)
        throw new ApiError("invalid-params", "The app has no code to run. Deploy some first.", {
          app: { name: app.name },
        });
      if (body.attach && !platform.rendezvous)
        throw new ApiError(
          "not-implemented",
          "Attached one-off dynos need a place to connect to; run it detached.",
        );
      if (preview)
        return presentDyno(app, await previewDyno(platform.uuid(), app.id, release, body));
      const { session, attachUrl } = await runOneOff(platform, app, release, {
        command: body.command,
        attach: body.attach === true,
        env: body.env ?? {},
        noTty: body.force_no_tty === true,
        size: size?.name,
        type: body.type ?? "run",
        timeToLiveMs: body.time_to_live ? body.time_to_live * 1000 : undefined,
      });
      const document = presentDyno(app, session.dyno, attachUrl);
      await write(async (unit) => {
        unit.event({
          app: app.id,
          resource: "dyno",
          action: "create",
          data: { ...document, attach_url: null },
        });
        await recordRun(platform, unit, app, session.dyno, document.size);
        unit.after(() =>
          platform.say(
            app.id,
            `Starting process with command \`${session.dyno.command}\` by user ${actor.email}`,
          ),
        );
        unit.after(() => watchRun(platform, session));
      });
      return document;
    },
  }),
  defineEndpoint({
    resource: "dyno-processes",
    title: "Create",
    method: "POST",
    path: "/apps/{app}/dynos/{dyno}",
    verb: "operate",
    summary: "Gives a URL where a client reaches a command inside a dyno that is up.",
    body: runBody.pick({ command: true, env: true, force_no_tty: true }),
    response: z.strictObject({ attach_url: z.string() }).meta({ id: "dyno-processes" }),
    status: 201,
    handler: async (context) => {
      const { platform, app, params, body, actor, write } = context;
      const dyno = dynoBy(context, params["dyno"] ?? "");
      if (!platform.manifold.exec || !platform.rendezvous)
        throw new ApiError(
          "not-implemented",
          "This platform can't run commands inside dynos; start a one-off dyno instead.",
        );
      if (dyno.state !== "up")
        throw new ApiError("conflict", `${dyno.dyno} is ${dyno.state}; wait until it is up.`, {
          app: { name: app.name },
        });
      const env = body.env ?? {};
      return await write(async (unit) => {
        unit.event({
          app: app.id,
          resource: "dyno-processes",
          action: "create",
          data: { app: { id: app.id, name: app.name }, dyno: { id: dyno.id, name: dyno.dyno } },
        });
        unit.after(() =>
          platform.say(app.id, `Command inside ${dyno.dyno} by user ${actor.email}`),
        );
        if (context.preview) return { attach_url: "rendezvous://preview.invalid/" };
        const noTty = body.force_no_tty === true || env["COLUMNS"] === undefined;
        const url = runInside(platform, app, dyno, { command: body.command, env, noTty });
        return { attach_url: url ?? "" };
      });
    },
  }),
  defineEndpoint({
    resource: "dyno",
    title: "List",
    method: "GET",
    path: "/apps/{app}/dynos",
    verb: "read",
    summary: "Lists the dynos of an app.",
    response: dynoSchema,
    ranges: ["name", "id"],
    handler: async (context) => dynosOf(context).map((dyno) => presentDyno(context.app, dyno)),
  }),
  defineEndpoint({
    resource: "dyno",
    title: "Info",
    method: "GET",
    path: "/apps/{app}/dynos/{dyno}",
    verb: "read",
    summary: "Shows a dyno, by id or name.",
    response: dynoSchema,
    handler: async (context) =>
      presentDyno(context.app, dynoBy(context, context.params["dyno"] ?? "")),
  }),
  defineEndpoint({
    resource: "dyno",
    title: "Restart all",
    method: "DELETE",
    path: "/apps/{app}/dynos",
    verb: "operate",
    summary: "Restarts all dynos of an app.",
    status: 202,
    handler: async (context) => await command(context, "restart", {}),
  }),
  defineEndpoint({
    resource: "dyno",
    title: "Restart",
    method: "DELETE",
    path: "/apps/{app}/dynos/{dyno}",
    verb: "operate",
    summary:
      "Restarts a dyno, or all of a process type when that is what is named; a one-off dyno is stopped.",
    status: 202,
    handler: async (context) => {
      const key = context.params["dyno"] ?? "";
      if (namesType(context, key)) return await command(context, "restart", { type: key });
      const { dyno, type } = dynoBy(context, key);
      const oneOff = type === "run" || type === "release" || type === "scheduler";
      return await command(context, oneOff ? "stop" : "restart", { dyno });
    },
  }),
  defineEndpoint({
    resource: "dyno",
    title: "Restart formation",
    method: "DELETE",
    path: "/apps/{app}/formations/{dyno}",
    verb: "operate",
    summary: "Restarts all dynos of a process type.",
    status: 202,
    handler: async (context) =>
      await command(context, "restart", { type: context.params["dyno"] ?? "" }),
  }),
  defineEndpoint({
    resource: "dyno",
    title: "Stop",
    method: "POST",
    path: "/apps/{app}/dynos/{dyno}/actions/stop",
    verb: "operate",
    summary:
      "Stops a dyno, or all of a process type when that is what is named; those of the formation start again.",
    status: 202,
    handler: async (context) => {
      const key = context.params["dyno"] ?? "";
      if (namesType(context, key)) return await command(context, "stop", { type: key });
      return await command(context, "stop", { dyno: dynoBy(context, key).dyno });
    },
  }),
  defineEndpoint({
    resource: "dyno",
    title: "Stop formation",
    method: "POST",
    path: "/apps/{app}/formations/{dyno}/actions/stop",
    verb: "operate",
    summary: "Stops all dynos of a process type; they start again.",
    status: 202,
    handler: async (context) =>
      await command(context, "stop", { type: context.params["dyno"] ?? "" }),
  }),
];

/** The dyno that a run would start. */
async function previewDyno(
  id: string,
  app: string,
  release: { readonly id: string; readonly version: number },
  body: z.output<typeof runBody>,
): Promise<DynoPort> {
  const now = Date.now();
  return {
    app,
    dyno: `${body.type ?? "run"}.0`,
    id,
    type: body.type ?? "run",
    command: body.command,
    size: body.size ?? "Standard-1X",
    state: "starting",
    release,
    createdAt: now,
    updatedAt: now,
  };
}
