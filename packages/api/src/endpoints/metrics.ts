import { z } from "zod";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { stepSeconds } from "../metrics/traffic.ts";

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
      "Requests of the last 30 minutes in steps of 10 seconds, with percentiles, status classes and H-codes; and how many dynos are in which state.",
    response: metricsSchema,
    stability: "development",
    handler: async ({ platform, app }) => {
      const states: Record<string, number> = {};
      for (const { state } of platform.manifold.ps(app.id))
        states[state] = (states[state] ?? 0) + 1;
      return {
        step_seconds: stepSeconds,
        router: platform.traffic.series(app.id),
        dyno_states: states,
      };
    },
  }),
];
