import { spawnSync } from "node:child_process";

const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/);

const tried = spawnSync(
  "bwrap",
  ["--unshare-user", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"],
  { encoding: "utf8" },
);

/** Why sandboxes can't be made here; undefined when they can. */
export const missing =
  tried.status === 0 ? undefined : (tried.error?.message ?? tried.stderr.trim());

if (missing !== undefined && required.includes("bwrap"))
  throw new Error(`bwrap is required but can't be used here: ${missing}`);

/** Title of a suite, with the reason when it is skipped. */
export const titled = (name: string) =>
  missing === undefined ? name : `${name} (skipped: bwrap can't be used here: ${missing})`;
