import { ApiError } from "../errors.ts";
import type { RawRoute } from "./raw-route.ts";

/**
 * Where an attached one-off is reached over plain HTTP. The edge answers it, which knows the
 * dynos that wait for a client; here it is described, and refused where there is no edge.
 */
export const attachRoutes: readonly RawRoute[] = [
  {
    method: "POST",
    path: "/attach/{secret}",
    summary:
      'Runs what an attach_url was made for, once; the secret is its last part. The body is the input. The answer is one JSON object a line: {"stream":"stdout"|"stderr","data":"<base64>"}, at last {"exit_code":3,"signal":null}.',
    types: ["application/x-ndjson"],
    accepts: "application/octet-stream",
    handler: async () => {
      throw new ApiError("not-found", "This secret is wrong, was used or has expired.", {
        resource: "dyno",
      });
    },
  },
];
