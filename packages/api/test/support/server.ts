// A platform of its own process, for tests that end it at any moment. Argument: JSON of `Plan`.
import { createApi, openStore } from "../../src/index.ts";
import { FakeBuilder, FakeLogplex, FakeManifold, FakeRoutes } from "./fakes.ts";

interface Plan {
  readonly location: string;
  readonly directory: string;
  /** Kills the process at this step: before and after each commit and each call of a neighbour. */
  readonly killAt?: number;
  /** ms that a release command takes. */
  readonly releaseMs?: number;
}

const plan = JSON.parse(process.argv[2] ?? "{}") as Plan;
let steps = 0;
function step(): void {
  steps += 1;
  if (steps === plan.killAt) process.kill(process.pid, "SIGKILL");
}

/** Counts every call of a method as two steps: before and after. */
function counted<T extends object>(target: T, names: readonly (keyof T & string)[]): T {
  for (const name of names) {
    const method = target[name] as unknown as (...input: unknown[]) => unknown;
    Object.assign(target, {
      [name]: (...input: unknown[]) => {
        step();
        const result = method.apply(target, input);
        if (!(result instanceof Promise)) {
          step();
          return result;
        }
        return result.finally(step);
      },
    });
  }
  return target;
}

const store = await openStore(plan.location, { directory: plan.directory });
const manifold = counted(new FakeManifold(), ["apply", "remove", "run"]);
manifold.outcome = async () => {
  await new Promise((resolve) => setTimeout(resolve, plan.releaseMs ?? 0));
  return { exitCode: 0, output: "migrated\n" };
};
const api = await createApi({
  store,
  manifold,
  routes: counted(new FakeRoutes(), ["set", "delete"]),
  logplex: counted(new FakeLogplex(), ["addDrain", "deleteChannel"]),
  builder: counted(new FakeBuilder(), ["build", "removeSlug"]),
  appDomain: "apps.test",
  strict: true,
});
const token = await api.createToken();
counted(store, ["write"]);
const { port } = await api.listen({ port: 0 });
const report = () =>
  process.send?.({ port, token, leader: api.platform.presence.leader, steps, env: envs() });
const envs = () =>
  Object.fromEntries([...manifold.formations].map(([app, { release }]) => [app, release.version]));
process.on("message", (message) => {
  if (message === "report") report();
  if (message === "close")
    void api
      .close()
      .then(() => store.close())
      .then(() => process.disconnect());
});
report();
