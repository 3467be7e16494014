/**
 * How the builder runs a buildpack's program. The default is a process group of this host; a
 * platform may pass a runner that starts a build dyno instead (feature-table.md, demand 11).
 */
export interface BuildRunner {
  /**
   * Runs one program to its end. Resolves once the program and everything it started is gone,
   * also after an abort of `command.signal`, which must stop it. Rejects only when the program
   * could not be run at all.
   */
  run(command: BuildCommand): Promise<BuildExit>;
  /** Ends what an earlier life of the platform left running; for runners whose programs outlive it. */
  sweep?(): Promise<void>;
}

/** One program of a buildpack. */
export interface BuildCommand {
  readonly step: "detect" | "compile" | "release";
  readonly build: { readonly id: string; readonly app: string };
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  /** The whole environment. Config vars are never in it; they are files below `ENV_DIR`. */
  readonly env: Readonly<Record<string, string>>;
  /** What the program may see of the host's files, apart from the system's own programs. */
  readonly paths: readonly { readonly path: string; readonly writable: boolean }[];
  readonly signal: AbortSignal;
  /** Output in the order it came; the two streams must not be held back for each other. */
  readonly stdout: (chunk: Uint8Array) => void;
  readonly stderr: (chunk: Uint8Array) => void;
}

/** Exactly one of the two is set. */
export interface BuildExit {
  readonly exitCode: number | null;
  readonly signal: string | null;
}
