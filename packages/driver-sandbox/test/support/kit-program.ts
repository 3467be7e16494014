/** Runs the kit as whoever starts it and prints the results as JSON; for a run as another user. */
import { runDriverChecks } from "@dynokit/manifold/testing";
import { sandboxKit } from "./kit.ts";

const kit = sandboxKit();
const only = (process.env["KIT_ONLY"] ?? "").split(",").filter(Boolean);
try {
  const results = await runDriverChecks(kit.make, {
    ...kit.options,
    expect: { containment: "complete", limits: { memory: "sampled", pids: "uid" } },
    ...(only.length > 0 ? { only } : {}),
    cycles: 10,
    parallel: 10,
    steps: 30,
    granularity: 1_000,
  });
  process.stdout.write(
    JSON.stringify(
      results.map(({ name, outcome, reason, error }) => ({
        name,
        outcome,
        reason,
        error: error?.stack,
      })),
    ),
  );
} finally {
  kit.remove();
}
