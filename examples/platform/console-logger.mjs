// What the platform itself has to say, one line each on standard error.

/** "a request failed: database or disk is full (requestId=…)" */
export function lineOf(details, message) {
  if (typeof details === "string") return details;
  if (details instanceof Error) return lineOf({ err: details }, message);
  const { err, error, ...rest } = details ?? {};
  const reason = err?.message ?? error;
  const members = Object.entries(rest).map(([name, value]) => `${name}=${value}`);
  const said = [message, reason].filter((part) => part !== undefined && part !== "").join(": ");
  return members.length === 0 ? said : `${said} (${members.join(", ")})`;
}

/** In pino's shape, as all packages take it; warnings and errors only. */
export const consoleLogger = {
  debug() {},
  info() {},
  warn: (details, message) => console.error(`warning: ${lineOf(details, message)}`),
  error: (details, message) => console.error(`error: ${lineOf(details, message)}`),
};
