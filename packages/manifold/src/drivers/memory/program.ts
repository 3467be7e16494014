/** A process of the memory driver from the inside: what a script that is code works with. */
export interface MemoryProcess {
  /** The words of its command; a line for the shell is `["/bin/sh", "-c", line]`. */
  readonly argv: readonly string[];
  /** Its environment, `PORT` included. */
  readonly env: Readonly<Record<string, string>>;
  /** The terminal it was started with. */
  readonly tty: { readonly columns: number; readonly rows: number } | undefined;
  /** Writes bytes; lines need their line ends. */
  print(text: string | Uint8Array, stream?: "stdout" | "stderr"): void;
  exit(code: number): void;
  die(signal: string): void;
  /** Calls `run` after `ms` of the driver's clock, unless the process ended. */
  after(ms: number, run: () => void): void;
  /** Calls `run` in place of ending by the signal; SIGKILL can't be caught. */
  onSignal(name: string, run: () => void): void;
  /** Calls `run` with what a client writes, and with `undefined` at the end of it. */
  onInput(run: (bytes: Uint8Array | undefined) => void): void;
  /** Calls `run` with the new size of the terminal. */
  onResize(run: (size: { readonly columns: number; readonly rows: number }) => void): void;
  /** Calls `run` when it has ended, however that came. */
  onEnd(run: () => void): void;
  /** Another process beside it, which goes with it; false when the limit of processes is reached. */
  fork(commandLine: string): boolean;
  /** Takes memory; above the kill threshold of its dyno it is killed and `oomKilled`. */
  allocate(bytes: number): void;
}

/** What a dyno, or a command in it, does: code that is called when it starts. */
export type MemoryProgram = (process: MemoryProcess) => void;
