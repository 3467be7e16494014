import { ApiError } from "../errors.ts";
import type { DynoRecorder } from "../metrics/dyno-recorder.ts";
import { type Counters, prometheusText } from "../metrics/prometheus.ts";
import { authenticateRaw } from "./authenticate-raw.ts";
import type { RawRoute } from "./raw-route.ts";

/** `GET /metrics`, for an administrator's token with the scope `read`. */
export function metricsRoute(counters: Counters, recorder: DynoRecorder): RawRoute {
  return {
    method: "GET",
    path: "/metrics",
    authenticated: true,
    summary: "Figures of the whole platform in Prometheus' text format; for administrators.",
    types: ["text/plain"],
    handler: async (call) => {
      const { account } = await authenticateRaw(call, "read");
      if (account.admin !== 1)
        throw new ApiError("forbidden", "Only an administrator can read these metrics.");
      return new Response(await prometheusText(call.platform, counters, recorder.transitions), {
        headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" },
      });
    },
  };
}
