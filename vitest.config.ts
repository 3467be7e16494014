import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// The private condition points every package of ours at its source, so no build is needed first.
const conditions = ["@dynokit/source", "import", "node", "default"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: [
      "packages/*/test/**/*.test.{ts,tsx}",
      "examples/*/test/**/*.test.ts",
      "test/**/*.test.ts",
    ],
    exclude: ["**/node_modules/**", "**/dist/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    // Most of the time is spent waiting for processes: one worker on two cores would leave both idle.
    maxWorkers: Math.max(2, availableParallelism()),
    coverage: { include: ["packages/*/src/**"] },
  },
});
