type Write = (details: Readonly<Record<string, unknown>>, message: string) => void;

/** pino's shape; a pino instance fits. Never gets config values or tokens. */
export interface Logger {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
}

const ignore: Write = () => {};

/** The default: says nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
