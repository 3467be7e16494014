/** What `escalatingStop` needs of a driver. */
export interface StopSteps {
  /** Sends the stop signal; everything is still alive. Not called when `timeoutMs` is 0. */
  readonly ask: () => void | Promise<void>;
  /** Ends all of it for certain. */
  readonly kill: () => void | Promise<void>;
  /** Settles when the dyno has ended; may settle before anything is asked. */
  readonly exited: Promise<unknown>;
  /** ms until `kill`; default 30 000; 0 kills at once. */
  readonly timeoutMs?: number;
}

/**
 * Asks, waits at most `timeoutMs`, kills, and resolves only after the exit (spec/drivers.md §3).
 * Resolves to `asked` or `killed`, which says how far it had to go.
 */
export async function escalatingStop(steps: StopSteps): Promise<"asked" | "killed"> {
  const timeoutMs = steps.timeoutMs ?? 30_000;
  if (timeoutMs > 0) {
    await steps.ask();
    let timer: NodeJS.Timeout | undefined;
    const ended = await Promise.race([
      steps.exited.then(() => true),
      new Promise<false>((done) => {
        timer = setTimeout(() => done(false), timeoutMs);
      }),
    ]).finally(() => clearTimeout(timer));
    if (ended) return "asked";
  }
  await steps.kill();
  await steps.exited;
  return "killed";
}
