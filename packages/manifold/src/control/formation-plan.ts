import { z } from "zod";
import { configProblem } from "../driver/config-schema.ts";
import type { DynoDriver } from "../driver/contract.ts";
import { ManifoldError } from "../errors.ts";
import type { Policy } from "../policy/policy.ts";
import { resolvePolicy } from "../policy/resolve.ts";
import type { DynoSize } from "../sizes.ts";
import { defaultDynoSize } from "../sizes.ts";
import type { Formation, OneOffOptions } from "../types.ts";
import { messageOf } from "./host.ts";
import type { Plan } from "./plan.ts";
import { fingerprint } from "./plan.ts";

/** What plans are made with. */
export interface PlanContext {
  readonly drivers: ReadonlyMap<string, DynoDriver>;
  readonly sizes: Readonly<Record<string, DynoSize>>;
  readonly policy: Policy;
}

/** Dynos of one type at most; above it a typing mistake is likelier than a wish. */
const maxQuantity = 100_000;

const typeName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, "must be letters, digits, - and _, at most 63");
const release = z.looseObject({ id: z.string().min(1), version: z.int().min(0) });
const env = z.record(z.string(), z.string());
const slug = z.looseObject({ id: z.string(), checksum: z.string() });

const formationSchema = z.looseObject({
  app: z.string().min(1),
  name: z.string().optional(),
  release,
  slug: slug.optional(),
  cwd: z.string().optional(),
  env,
  processes: z.record(
    typeName,
    z.looseObject({
      command: z.string().min(1, "must not be empty"),
      quantity: z.int().min(0).max(maxQuantity),
      size: z.string().optional(),
      port: z.boolean().optional(),
      driver: z.string().optional(),
    }),
  ),
});

const oneOffSchema = z.looseObject({
  app: z.string().min(1),
  command: z.string().min(1, "must not be empty"),
  type: typeName.optional(),
  release,
  env,
  timeToLiveMs: z.number().positive().max(86_400_000).optional(),
  reconnectMs: z.number().min(0).max(3_600_000).optional(),
});

/** The plans of a formation by type. @throws ManifoldError when anything of it cannot be run. */
export function formationPlans(formation: Formation, context: PlanContext): Map<string, Plan> {
  check(formationSchema, formation, "invalid-formation", "formation");
  const plans = new Map<string, Plan>();
  for (const [type, definition] of Object.entries(formation.processes)) {
    const where = `formation of ${formation.app}, processes.${type}`;
    const policy = resolvePolicy(context.policy, definition.policy, `${where}.policy`);
    for (const other of policy.dependsOn) {
      if (Object.hasOwn(formation.processes, other)) continue;
      throw new ManifoldError(
        "invalid-formation",
        `${where}.policy.dependsOn: there is no process type ${JSON.stringify(other)}; name one of the formation`,
      );
    }
    const plan = makePlan(formation, { ...definition, type, policy, where }, context);
    checkConfig(plan, where, "invalid-formation");
    plans.set(type, plan);
  }
  checkNoCycle(formation.app, plans);
  return plans;
}

/** The plan of a one-off dyno. */
export function oneOffPlan(options: OneOffOptions, context: PlanContext): Plan {
  check(oneOffSchema, options, "invalid-one-off", "one-off");
  const type = options.type ?? "run";
  const plan = makePlan(
    options,
    {
      ...options,
      type,
      port: options.port ?? false,
      policy: context.policy,
      where: `one-off of ${options.app}`,
    },
    context,
    {
      overrides: options.overrides,
      tty: options.tty,
      attach: options.attach ?? false,
    },
  );
  checkConfig(plan, `one-off of ${options.app}`, "invalid-one-off");
  const can = plan.driver.capabilities();
  if (plan.attach && !can.attach)
    throw notSupported(plan, "attached one-off dynos (capability attach)");
  if (plan.tty && !can.tty) throw notSupported(plan, "terminals (capability tty)");
  return plan;
}

function notSupported(plan: Plan, what: string): ManifoldError {
  return new ManifoldError(
    "not-supported",
    `the driver ${plan.driver.info().name} does not support ${what}; run it detached or use another driver`,
  );
}

interface Definition {
  readonly type: string;
  readonly command: string;
  readonly size?: string;
  readonly port?: boolean;
  readonly driver?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly policy: Policy;
  readonly where: string;
}

function makePlan(
  source: Pick<Formation, "app" | "name" | "release" | "slug" | "cwd" | "env"> &
    Partial<Pick<Formation, "defaultDomain" | "features">>,
  definition: Definition,
  context: PlanContext,
  more: Partial<Pick<Plan, "overrides" | "tty" | "attach">> = {},
): Plan {
  const size = (definition.size ?? defaultDynoSize).toLowerCase();
  const known = Object.hasOwn(context.sizes, size) ? context.sizes[size] : undefined;
  if (!known) {
    const names = Object.values(context.sizes).map(({ name }) => name);
    throw new ManifoldError(
      "invalid-formation",
      `${definition.where}.size: no size is called ${JSON.stringify(definition.size)}; use one of ${names.join(", ")}`,
    );
  }
  const plan = {
    app: source.app,
    appName: source.name ?? source.app,
    type: definition.type,
    command: definition.command,
    size,
    limits: known.limits,
    release: source.release,
    slug: source.slug,
    cwd: source.cwd,
    env: source.env,
    defaultDomain: source.defaultDomain,
    policy: definition.policy,
    routed: definition.port ?? definition.type === "web",
    ...findDriver(definition, context),
    config: definition.config,
    runtimeMetrics: source.features?.includes("log-runtime-metrics") ?? false,
    overrides: undefined,
    tty: undefined,
    attach: false,
    ...more,
  };
  return { ...plan, fingerprint: fingerprint(plan) };
}

function findDriver(
  definition: Definition,
  { drivers }: PlanContext,
): Pick<Plan, "driver" | "driverName"> {
  const [first = ""] = drivers.keys();
  const { driver: driverName = first } = definition;
  const driver = drivers.get(driverName);
  if (driver) return { driver, driverName };
  throw new ManifoldError(
    "unknown-driver",
    `${definition.where}.driver: no driver is called ${JSON.stringify(definition.driver)}; this manifold has ${[...drivers.keys()].join(", ")}`,
  );
}

function checkConfig(
  { driver, config }: Plan,
  where: string,
  code: "invalid-formation" | "invalid-one-off",
): void {
  const { name } = driver.info();
  let problem: string | undefined;
  try {
    problem = configProblem(driver, config);
  } catch (cause) {
    throw new ManifoldError(
      "invalid-options",
      `the configSchema of the driver ${name} is not a JSON Schema that can be used: ${messageOf(cause)}`,
      { cause },
    );
  }
  if (problem !== undefined)
    throw new ManifoldError(code, `${where}.${problem} (driver ${name}; see its configSchema)`);
}

function check(
  schema: z.ZodType,
  value: unknown,
  code: "invalid-formation" | "invalid-one-off",
  what: string,
): void {
  const parsed = schema.safeParse(value);
  if (parsed.success) return;
  const issue = parsed.error.issues[0]!;
  const path = issue.path.length > 0 ? issue.path.join(".") : "value";
  // Never the value itself: it may be of the environment.
  throw new ManifoldError(code, `${what}: ${path} is not acceptable: ${issue.message}`, {
    details: { path: issue.path },
  });
}

function checkNoCycle(app: string, plans: ReadonlyMap<string, Plan>): void {
  const done = new Set<string>();
  const visit = (type: string, path: readonly string[]): void => {
    if (done.has(type)) return;
    if (path.includes(type)) {
      throw new ManifoldError(
        "invalid-formation",
        `formation of ${app}: dependsOn goes in a circle (${[...path, type].join(" → ")}); remove one of these`,
      );
    }
    for (const other of plans.get(type)?.policy.dependsOn ?? []) visit(other, [...path, type]);
    done.add(type);
  };
  for (const type of plans.keys()) visit(type, []);
}
