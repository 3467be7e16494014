import { ProcfileError, quoted } from "../errors.ts";
import { assignPorts } from "../ports.ts";

/** Options of {@link exportFormation}. All texts are plain: exporters quote them. */
export interface ExportOptions {
  /** The process types, in order; `release` is exported as a one-shot where the target has them. */
  readonly entries: Iterable<{ readonly name: string; readonly command: string }>;
  /** Quantities. Default one of each; a type that is missing here has none. */
  readonly formation?: Readonly<Record<string, number | { readonly quantity: number }>>;
  /** Variables of every process. `PORT` sets the default of `basePort` and is not passed on. */
  readonly env?: Readonly<Record<string, string>> | ReadonlyMap<string, string>;
  /** Prefix of every unit, label and file. Letters, digits and inner dashes. Default `app`. */
  readonly app?: string;
  /** Directory that commands run in. Default `/app`. */
  readonly workingDirectory?: string;
  /** Account that processes run as, where the target has one. Default: the target's own. */
  readonly user?: string;
  /** Shell that is given `-c` and the command. Default `/bin/sh`. */
  readonly shell?: string;
  /** Directory of log files, for targets that write them. Default `/var/log/<app>`. */
  readonly logDirectory?: string;
  /** First port. Default `PORT` of `env`, else 5000. */
  readonly basePort?: number;
  /** Which types beside `web` get a `PORT`. Default none. */
  readonly ports?: Iterable<string> | "all";
  /** Signal that asks a process to stop. Default `SIGTERM`. */
  readonly stopSignal?: "SIGTERM" | "SIGINT" | "SIGQUIT" | "SIGHUP" | "SIGUSR1" | "SIGUSR2";
  /** Seconds between that signal and SIGKILL. Default 30, as the platform has it. */
  readonly stopTimeoutSeconds?: number;
  /** Image of container targets. Default `<app>:latest`. */
  readonly image?: string;
  /** systemd: `system` (default) or `user` units. */
  readonly scope?: "system" | "user";
  /** Kubernetes namespace. Default: none is written. */
  readonly namespace?: string;
}

/** One file of an export. Paths are relative and use `/`. */
export interface ExportedFile {
  readonly path: string;
  readonly content: string;
  /** To be made executable. */
  readonly executable: boolean;
}

/** One process of a type. */
export interface PlannedInstance {
  /** 1-based. */
  readonly instance: number;
  /** `web.1` */
  readonly dyno: string;
  readonly port?: number;
  /** All its variables: `env`, then `PORT`, `DYNO` and `PS`. */
  readonly env: ReadonlyMap<string, string>;
}

/** One process type of an export. */
export interface PlannedType {
  readonly name: string;
  readonly command: string;
  /** True for `release`, which runs once and ends. */
  readonly oneShot: boolean;
  /** Inside its container: the same for each instance. */
  readonly containerPort?: number;
  readonly instances: readonly PlannedInstance[];
}

/** What every exporter, and every template, is made from. */
export interface ExportPlan {
  readonly app: string;
  readonly types: readonly PlannedType[];
  /** Variables common to all processes, without `PORT`. */
  readonly env: ReadonlyMap<string, string>;
  readonly workingDirectory: string;
  readonly user?: string;
  readonly shell: string;
  readonly logDirectory: string;
  readonly stopSignal: string;
  readonly stopTimeoutSeconds: number;
  readonly image: string;
  readonly scope: "system" | "user";
  readonly namespace?: string;
}

/** Checks the options once and works out instances, ports and variables. */
export function planExport(options: ExportOptions): ExportPlan {
  const { app = "app", stopTimeoutSeconds = 30, user, namespace } = options;
  if (!/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(app))
    throw invalid(`App name ${quoted(app)}: use 1 to 63 letters, digits and inner dashes.`, {
      app,
    });
  if (!Number.isInteger(stopTimeoutSeconds) || stopTimeoutSeconds < 0)
    throw invalid(`stopTimeoutSeconds is ${stopTimeoutSeconds}: use a whole number.`, {});
  const text = (name: string, value: string) => {
    if (value === "" || /[\0-\x1f\x7f]/.test(value))
      throw invalid(`${name} ${quoted(value)} is empty or has control characters.`, { name });
    return value;
  };
  const entries = [...options.entries];
  for (const { name, command } of entries) {
    if (!/^[A-Za-z0-9_-]{1,128}$/.test(name))
      throw new ProcfileError("invalid-name", `${quoted(name)} can't be a process type.`, { name });
    if (/[\0\r\n]/.test(command) || command.trim() === "")
      throw new ProcfileError(
        "invalid-command",
        `The command of ${name} is empty or has a line end or NUL: it can't be exported.`,
        { name },
      );
  }
  const given = options.env ?? {};
  const env = new Map(
    given instanceof Map ? given : Object.entries(given as Record<string, string>),
  );
  for (const [name, value] of env) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw new ProcfileError("invalid-env-key", `${quoted(name)} can't be a variable.`, { name });
    if (value.includes("\0"))
      throw new ProcfileError("invalid-env-value", `The value of ${name} holds NUL.`, { name });
  }
  const inherited = /^[0-9]{1,5}$/.test(env.get("PORT") ?? "") ? Number(env.get("PORT")) : 5000;
  env.delete("PORT");
  const base = options.basePort ?? inherited;
  const services = entries.filter(({ name }) => name !== "release");
  const { get } = assignPorts(services, options.formation, { base, ports: options.ports ?? [] });
  const withPort = new Set(
    assignPorts(services, undefined, { base, ports: options.ports ?? [] }).ports.map(
      ({ type }) => type,
    ),
  );
  const types = entries.map(({ name, command }): PlannedType => {
    const quantity = quantityOf(options.formation, name);
    const instances = Array.from({ length: quantity }, (_, index): PlannedInstance => {
      const dyno = `${name}.${index + 1}`;
      const port = get(dyno);
      const own = new Map(env);
      if (port !== undefined) own.set("PORT", String(port));
      own.set("DYNO", dyno).set("PS", dyno);
      return { instance: index + 1, dyno, ...(port === undefined ? {} : { port }), env: own };
    });
    return {
      name,
      command,
      oneShot: name === "release",
      ...(withPort.has(name) ? { containerPort: base } : {}),
      instances,
    };
  });
  return {
    app,
    types,
    env,
    workingDirectory: text("workingDirectory", options.workingDirectory ?? "/app"),
    ...(user === undefined ? {} : { user: text("user", user) }),
    shell: text("shell", options.shell ?? "/bin/sh"),
    logDirectory: text("logDirectory", options.logDirectory ?? `/var/log/${app}`),
    stopSignal: options.stopSignal ?? "SIGTERM",
    stopTimeoutSeconds,
    image: text("image", options.image ?? `${app.toLowerCase()}:latest`),
    scope: options.scope ?? "system",
    ...(namespace === undefined ? {} : { namespace: text("namespace", namespace) }),
  };
}

function quantityOf(formation: ExportOptions["formation"], name: string): number {
  if (!formation) return 1;
  const value = Object.hasOwn(formation, name) ? formation[name]! : name === "release" ? 1 : 0;
  return typeof value === "number" ? value : value.quantity;
}

function invalid(message: string, details: Record<string, unknown>): ProcfileError {
  return new ProcfileError("invalid-option", message, details);
}
