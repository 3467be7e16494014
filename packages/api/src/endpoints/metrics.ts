import { z } from "zod";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { resolutions, spans } from "../metrics/resolution.ts";

const column = z.array(z.number().nullable());

const metricsSchema = z
  .strictObject({
    step_seconds: z.int(),
    router: z.strictObject({
      time: z.array(z.int()),
      requests: z.array(z.int()),
      p50_ms: column,
      p95_ms: column,
      p99_ms: column,
      status: z.record(z.string(), z.array(z.int())),
      codes: z.record(z.string(), z.int()),
    }),
    dynos: z.record(
      z.string(),
      z.strictObject({
        time: z.array(z.int()),
        memory_mb: column.optional(),
        cpu: column.optional(),
      }),
    ),
    dyno_states: z.record(z.string(), z.int()),
  })
  .meta({ id: "metrics" });

export const metricEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "metrics",
    title: "Info",
    method: "GET",
    path: "/apps/{app}/metrics",
    verb: "read",
    summary:
      "Requests with percentiles, status classes and H-codes; memory in MB and CPU in percent of a core by dyno; and how many dynos are in which state. `span=30m`, the default, is the last 30 minutes in steps of 10 seconds, `span=24h` the last 24 hours in steps of 5 minutes.",
    query: z.object({ span: z.enum(spans).default("30m") }),
    response: metricsSchema,
    stability: "development",
    handler: async ({ platform, app, query: { span } }) => {
      const states: Record<string, number> = {};
      for (const { state } of platform.manifold.ps(app.id))
        states[state] = (states[state] ?? 0) + 1;
      return {
        step_seconds: resolutions[span].stepSeconds,
        router: platform.traffic.series(app.id, span),
        dynos: platform.usage.series(app.id, span),
        dyno_states: states,
      };
    },
  }),
];
