import { notFound } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { isUuid } from "../resources/common.ts";
import { presentRun, runSchema } from "../resources/run.ts";
import { sliceOf } from "../store/slice.ts";

export const runEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "run",
    title: "List",
    method: "GET",
    path: "/apps/{app}/runs",
    verb: "read",
    summary:
      "Lists the one-off dynos of an app that run or have ended, the latest 500, with their exit status.",
    response: runSchema,
    ranges: ["number", "id"],
    handler: async ({ platform, app, range }) => {
      const all = platform.db.selectFrom("runs").selectAll().where("app_id", "=", app.id);
      const rows = await sliceOf(all, platform.store.engine, range(), "runs", {
        number: "integer",
        id: "text",
      }).execute();
      return rows.map((row) => presentRun(app, row));
    },
  }),
  defineEndpoint({
    resource: "run",
    title: "Info",
    method: "GET",
    path: "/apps/{app}/runs/{run}",
    verb: "read",
    summary:
      "Shows a one-off dyno by id, number or name, also after its end: exit_code or signal say how it ended.",
    response: runSchema,
    handler: async ({ platform, app, params }) => {
      const key = params["run"] ?? "";
      const all = platform.db.selectFrom("runs").selectAll().where("app_id", "=", app.id);
      const row = /^\d{1,9}$/.test(key)
        ? await all.where("number", "=", Number(key)).executeTakeFirst()
        : await all
            .where(isUuid(key) ? "id" : "name", "=", key)
            .orderBy("number", "desc")
            .limit(1)
            .executeTakeFirst();
      if (!row) throw notFound("run");
      return presentRun(app, row);
    },
  }),
];
