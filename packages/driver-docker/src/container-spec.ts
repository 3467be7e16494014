import type { DynoLabels, DynoSpec } from "@dynokit/manifold";
import type { ContainerCreateOptions, HostConfig, MountSettings } from "dockerode";
import type { Settings } from "./options.ts";

/** Labels by which a later manifold finds its containers (spec/drivers.md §6). */
export const LABEL = {
  platform: "dynokit.platform",
  app: "manifold.app",
  dyno: "manifold.dyno",
  id: "manifold.id",
  release: "manifold.release",
  /** What the driver needs to know of a container again, as JSON. */
  handle: "manifold.handle",
} as const;

/** Value of the label `handle`. */
export interface Remembered {
  readonly labels: DynoLabels;
  /** On which the dyno was asked to listen. */
  readonly port?: number;
}

/** Name of the container of a dyno; ids are unique for ever. */
export const containerName = (id: string) => `dynokit-${id}`;

// Heroku sources these before every command, the app's own file last (spec/dynos.md §3).
const PROFILE = [
  "for profile in /app/.profile.d/*.sh; do [ -r $profile ] && . $profile; done",
  "[ -r /app/.profile ] && . /app/.profile",
].join("; ");

/**
 * Sets the size of the terminal from inside, before the program looks: engines before API 1.42
 * take a size only once the program runs.
 */
export const terminalSize = (tty: DynoSpec["tty"]) =>
  tty ? `stty cols ${Number(tty.columns)} rows ${Number(tty.rows)} 2>/dev/null; ` : "";

function commandOf(spec: DynoSpec): string[] {
  if (typeof spec.command !== "string") return [...spec.command];
  return ["/bin/sh", "-c", `${terminalSize(spec.tty)}${PROFILE}; ${spec.command}`];
}

/** What the engine is asked to create: confined, limited and labelled. */
export function containerOptions(
  spec: DynoSpec,
  settings: Settings,
  network: string,
): ContainerCreateOptions {
  const remembered: Remembered = {
    labels: spec.labels,
    ...(spec.port ? { port: settings.port } : {}),
  };
  const limits = spec.limits ?? {};
  const memory = limits.memoryKillBytes ?? limits.memoryBytes;
  const environment: Record<string, string> = { HOME: "/app", ...spec.env };
  if (spec.port) environment["PORT"] = String(settings.port);
  const image = spec.config?.["image"];
  const user = spec.user ?? settings.user;
  return {
    name: containerName(spec.id),
    Image: typeof image === "string" ? image : settings.image,
    Entrypoint: [],
    Cmd: commandOf(spec),
    // Values go through the engine's API and never on a command line of the host.
    Env: Object.entries(environment).map(([key, value]) => `${key}=${value}`),
    WorkingDir: spec.cwd ?? "/app",
    Hostname: spec.labels.dyno.replaceAll(/[^a-zA-Z0-9.-]/g, "-").slice(0, 63),
    ...(user === undefined ? {} : { User: user }),
    Tty: spec.tty !== undefined,
    OpenStdin: spec.stdin === true || spec.tty !== undefined,
    StdinOnce: false,
    AttachStdin: spec.stdin === true || spec.tty !== undefined,
    AttachStdout: true,
    AttachStderr: true,
    Labels: {
      [LABEL.platform]: settings.platform,
      [LABEL.id]: spec.id,
      [LABEL.app]: spec.labels.app,
      [LABEL.dyno]: spec.labels.dyno,
      [LABEL.release]: spec.labels.release,
      [LABEL.handle]: JSON.stringify(remembered),
    },
    HostConfig: {
      // An init that reaps and forwards signals: a program that is PID 1 ignores SIGTERM.
      Init: true,
      NetworkMode: network,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      OomScoreAdj: 0,
      LogConfig: {
        Type: "local",
        Config: { "max-size": "64m", "max-file": "2", compress: "false" },
      },
      Tmpfs: { "/tmp": "rw,exec,nosuid,nodev,size=64m,mode=1777" },
      ...storageOf(spec, settings.readOnly),
      ...(memory === undefined ? {} : { Memory: memory, MemorySwap: memory }),
      ...(limits.pids === undefined ? {} : { PidsLimit: limits.pids }),
      ...(limits.cpus === undefined ? {} : { NanoCpus: Math.round(limits.cpus * 1e9) }),
    },
  };
}

/**
 * Where it can write beside `/tmp`: `/app`, which is a volume because nothing can be put into a root
 * that is read-only. The limit is one of the file system on which the engine has its data.
 */
function storageOf(
  { cwd, limits }: DynoSpec,
  readOnly: boolean,
): Pick<HostConfig, "ReadonlyRootfs" | "StorageOpt" | "Mounts"> {
  const size = limits?.diskBytes === undefined ? undefined : String(Math.floor(limits.diskBytes));
  if (!readOnly && size !== undefined) return { StorageOpt: { size }, ...boundTo(cwd) };
  if (!readOnly) return boundTo(cwd);
  const app: MountSettings = {
    Type: "volume",
    Source: "",
    Target: "/app",
    ...(size === undefined
      ? {}
      : { VolumeOptions: { DriverConfig: { Name: "local", Options: { size } } } as never }),
  };
  return { ReadonlyRootfs: true, Mounts: [app, ...(boundTo(cwd).Mounts ?? [])] };
}

/** `Mounts` refuses a directory that does not exist; `Binds` would make it. */
const boundTo = (cwd: string | undefined): Pick<HostConfig, "Mounts"> =>
  cwd === undefined ? {} : { Mounts: [{ Type: "bind", Source: cwd, Target: cwd }] };
