/** `(~ 5m ago)` as Heroku's `ps` has it: seconds below a minute, minutes below an hour, hours below 25, else absent. */
export function ago(time: Date, now: Date): string {
  const seconds = Math.max(0, Math.floor((now.getTime() - time.getTime()) / 1000));
  if (seconds < 60) return `(~ ${seconds}s ago)`;
  if (seconds < 3600) return `(~ ${Math.floor(seconds / 60)}m ago)`;
  if (seconds < 25 * 3600) return `(~ ${Math.floor(seconds / 3600)}h ago)`;
  return "";
}

/** `2026/01/01 12:00:00 +0000`, in UTC. */
export function stamp(time: Date): string {
  return `${time.toISOString().slice(0, 19).replaceAll("-", "/").replace("T", " ")} +0000`;
}
