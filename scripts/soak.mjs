// For a nightly run: seeded chaos with real dynos whose platform is killed with SIGKILL again and again,
// ten minutes long. `--minutes=1` takes another time, `--seed=7` repeats a course.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const option = (name, otherwise) =>
  process.argv.find((one) => one.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise;
const minutes = option("minutes", "10");
const seed = option("seed", String(Date.now() % 1_000_000));
if (!(Number(minutes) > 0) || !/^\d+$/.test(seed)) {
  console.error("Usage: node scripts/soak.mjs [--minutes=10] [--seed=7]");
  process.exit(2);
}

console.log(`${minutes} minutes of chaos; DYNOKIT_SEED=${seed} repeats it`);
const vitest = fileURLToPath(new URL("vitest.mjs", import.meta.resolve("vitest/package.json")));
const child = spawn(
  process.execPath,
  [vitest, "run", "--retry=0", "--reporter=verbose", "packages/manifold/test/chaos"],
  {
    cwd: root,
    stdio: "inherit",
    env: {
      ...process.env,
      DYNOKIT_SOAK: "1",
      DYNOKIT_SOAK_MINUTES: minutes,
      DYNOKIT_SEED: seed,
    },
  },
);
child.on("exit", (code) => process.exit(code ?? 1));
