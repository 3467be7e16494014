/** All that the command touches, so that tests can hand it a world of their own. */
export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether standard output is a terminal. */
  readonly color: boolean;
  readonly version: () => string;
  readonly readStdin: () => string;
  readonly readFile: (path: string) => string;
  readonly writeFile: (path: string, content: string, executable?: boolean) => void;
  /** Names in a directory and one level below it. */
  readonly list: (directory: string) => readonly string[];
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** A failure with an exit code of its own; the message goes to standard error. */
export class CliFailure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 2) {
    super(message);
    this.exitCode = exitCode;
  }
}
