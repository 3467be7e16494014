import { ProcfileError } from "./errors.ts";

/** Options of {@link assignPorts}. */
export interface AssignPortsOptions {
  /** First port. Default 5000. */
  readonly base?: number;
  /**
   * `heroku` (default): `web` gets the base, other types only when `ports` asks for them, each at a
   * place that depends on the names alone. `foreman`: every type, 100 apart in the order of the
   * file.
   */
  readonly strategy?: "heroku" | "foreman";
  /** With `heroku`: the other types that get a port. `all` for every one. Default none. */
  readonly ports?: Iterable<string> | "all";
  /** Types that get none in either strategy. */
  readonly without?: Iterable<string>;
  /** Distance between types, and so the most instances of one. Default 100. */
  readonly step?: number;
}

/** The port of one dyno. */
export interface AssignedPort {
  readonly type: string;
  /** 1-based. */
  readonly instance: number;
  /** `web.1` */
  readonly dyno: string;
  readonly port: number;
}

/** What {@link assignPorts} returns. */
export interface PortAssignment {
  /** Sorted by port. */
  readonly ports: readonly AssignedPort[];
  /** The port of a dyno such as `web.1`, if it has one. */
  get(dyno: string): number | undefined;
  /** `PORT_WEB`, `PORT_MY_WORKER` …: the first port of every type that has one. */
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * Gives ports to dynos. Pure. With the `heroku` strategy a type's port changes neither when lines
 * are reordered nor when only some types are started (spec/procfile.md §6).
 *
 * @param entries every process type of the file, also those that are not started
 * @param formation quantities; a type that is missing has none. Default: one of each type
 * @throws ProcfileError `invalid-option` when the ports don't fit
 */
export function assignPorts(
  entries: Iterable<{ readonly name: string }>,
  formation?: Readonly<Record<string, number | { readonly quantity: number }>>,
  options: AssignPortsOptions = {},
): PortAssignment {
  const { base = 5000, strategy = "heroku", ports = [], step = 100 } = options;
  if (!Number.isInteger(base) || base < 1 || base > 65_535)
    throw invalid(`Base port ${base} is not a whole number from 1 to 65535.`, { base });
  if (!Number.isInteger(step) || step < 1)
    throw invalid(`Step ${step} is not a whole number above 0.`, { step });
  const names = [...new Set([...entries].map(({ name }) => name))];
  const without = new Set(options.without ?? []);
  const wanted = ports === "all" || strategy === "foreman" ? null : new Set(["web", ...ports]);
  const found: AssignedPort[] = [];
  const variables: Record<string, string> = Object.create(null);
  for (const [index, type] of order(names, strategy).entries()) {
    const quantity = names.includes(type) ? quantityOf(formation, type) : 0;
    const first = base + index * step;
    if (without.has(type) || (wanted && !wanted.has(type)) || quantity === 0) continue;
    if (quantity > step)
      throw invalid(
        `${quantity} of ${type} don't fit into ${step} ports: raise "step" or start fewer.`,
        { type, quantity, step },
      );
    if (first + quantity - 1 > 65_535)
      throw invalid(`The ports of ${type} would go beyond 65535: lower "base" or "step".`, {
        type,
        base,
        step,
      });
    variables[`PORT_${type.toUpperCase().replaceAll(/[^A-Z0-9_]/g, "_")}`] ??= String(first);
    for (let instance = 1; instance <= quantity; instance++)
      found.push({ type, instance, dyno: `${type}.${instance}`, port: first + instance - 1 });
  }
  const byDyno = new Map(found.map(({ dyno, port }) => [dyno, port]));
  return { ports: found, get: (dyno) => byDyno.get(dyno), variables };
}

/** `web` has the first place even where the file has none, so that adding it moves nobody. */
function order(names: readonly string[], strategy: "heroku" | "foreman"): string[] {
  if (strategy === "foreman") return [...names];
  const others = names.filter((name) => name !== "web");
  return ["web", ...others.sort((a, b) => (a < b ? -1 : 1))];
}

function quantityOf(
  formation: Readonly<Record<string, number | { readonly quantity: number }>> | undefined,
  type: string,
): number {
  if (!formation) return 1;
  const value = Object.hasOwn(formation, type) ? formation[type]! : 0;
  const quantity = typeof value === "number" ? value : value.quantity;
  if (!Number.isInteger(quantity) || quantity < 0)
    throw invalid(`The quantity of ${type} is ${quantity}, not a whole number of 0 or more.`, {
      type,
      quantity,
    });
  return quantity;
}

function invalid(message: string, details: Record<string, unknown>): ProcfileError {
  return new ProcfileError("invalid-option", message, details);
}
