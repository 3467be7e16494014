import { spawnSync } from "node:child_process";

/** Whether bubblewrap can make sandboxes here. */
export const missing =
  spawnSync("bwrap", ["--ro-bind", "/", "/", "--unshare-all", "/bin/true"]).status !== 0;

if (missing && (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("bwrap"))
  throw new Error("bwrap is required, but it is not installed or can't make sandboxes here");

/** The title of a suite, with the reason why it is skipped. */
export function title(name: string): string {
  return missing ? `${name} (skipped: bwrap can't make sandboxes here)` : name;
}
