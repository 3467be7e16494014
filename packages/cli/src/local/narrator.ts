import { type DynoEvent, exitStatus } from "@dynokit/manifold";

/** What `dynokit local` says about a change of a dyno; most need no words. */
export function narrate(event: DynoEvent, nextAttemptAt: number | undefined): string | undefined {
  const { dyno, to, cause, exit, from } = event;
  if (cause === "restart" && to === "stopping") return `${dyno} restarts`;
  if (cause === "exit-timeout") return `${dyno} did not stop in time and is killed`;
  if (cause === "start-error" || cause === "lost")
    return `${dyno} could not be started: ${event.detail ?? cause}`;
  if (!exit) return undefined;
  const how =
    exit.signal === null
      ? `exited with status ${exitStatus(exit)}`
      : `was ended by ${exit.signal} (status ${exitStatus(exit)})`;
  if (to === "crashed") {
    const wait = nextAttemptAt === undefined ? undefined : (nextAttemptAt - event.at) / 1000;
    if (wait === undefined) return `${dyno} ${how}`;
    return `${dyno} ${how}, starts again in ${Math.max(0, wait).toFixed(wait < 1 ? 1 : 0)} s`;
  }
  if (to === "complete") return `${dyno} ${how}`;
  return from === "stopping" ? `${dyno} stopped` : undefined;
}
