import type { DynoSpec } from "@dynokit/manifold";
import type { HostPath } from "./paths.ts";

/** Signals that the programs around the dyno ignore, and that the dyno gets back. */
const SIGNALS = "HUP,INT,QUIT,TERM,USR1,USR2,ALRM,WINCH";

/**
 * Stands on the command line of everything that leads up to the dyno's program, and of nothing
 * after: as long as it does, signals are ignored.
 */
export const SIGNAL_RESET = `--default-signal=${SIGNALS}`;

// Heroku sources these before every command, the app's own file last (spec/dynos.md §3).
const PROFILE =
  'for f in ./.profile.d/*.sh; do if [ -r "$f" ]; then . "$f"; fi; done; unset f; ' +
  "if [ -r ./.profile ]; then . ./.profile; fi; ";

/** First program of a container, as the dyno sees it. */
export const FIRST = "/run/first.pl";

/** Where one dyno is. */
export interface Place {
  /** Its code on the host. */
  readonly directory: string;
  /** Size of a `/app` in memory, into which the code is copied; undefined: it is where `directory` is. */
  readonly memoryDisk: number | undefined;
  /** Paths of the host that it has where they are; undefined: its code alone, as `/app`. */
  readonly paths: readonly HostPath[] | undefined;
  /** Of the bridge; undefined without a network of its own, or without a port. */
  readonly socket: string | undefined;
}

/** Where the code is seen that is copied into a `/app` in memory. */
export const SLUG = "/run/slug";
/** Stands before the command then. */
export const FILL = ["/bin/sh", "-c", `cp -a ${SLUG}/. /app/ && exec "$@"`, "sh"] as const;

/** The dyno's own program, with signals as programs expect them. */
export function commandOf({ command }: DynoSpec, shell: string): string[] {
  return [
    "/usr/bin/env",
    SIGNAL_RESET,
    ...(typeof command === "string"
      ? [shell, "-c", `${PROFILE}exec "$0" -c "$1"`, shell, command]
      : ["--", ...command]),
  ];
}

/** The name of the dyno as one of a host. */
export function hostName(spec: Pick<DynoSpec, "labels">): string {
  return spec.labels.dyno.replaceAll(/[^a-zA-Z0-9.-]/g, "-").slice(0, 63) || "dyno";
}
