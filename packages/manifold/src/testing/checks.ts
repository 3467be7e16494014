import { destroyChecks } from "./checks/destroy.ts";
import { attachChecks, execChecks } from "./checks/exec.ts";
import { hygieneChecks } from "./checks/hygiene.ts";
import { identityChecks } from "./checks/identity.ts";
import { inspectChecks } from "./checks/inspect.ts";
import { fileChecks, limitChecks } from "./checks/limits.ts";
import { logChecks } from "./checks/logs.ts";
import { networkChecks } from "./checks/network.ts";
import { recoverChecks } from "./checks/recover.ts";
import { signalChecks } from "./checks/signal.ts";
import { startChecks } from "./checks/start.ts";
import { statsChecks } from "./checks/stats.ts";
import { stopChecks } from "./checks/stop.ts";
import { waitChecks } from "./checks/wait.ts";
import type { Check } from "./types.ts";

/** Every check of spec/dynos.md §16, by number. */
export const driverChecks: readonly Check[] = Object.freeze(
  [
    ...identityChecks,
    ...startChecks,
    ...waitChecks,
    ...stopChecks,
    ...destroyChecks,
    ...inspectChecks,
    ...signalChecks,
    ...logChecks,
    ...statsChecks,
    ...execChecks,
    ...attachChecks,
    ...recoverChecks,
    ...limitChecks,
    ...networkChecks,
    ...fileChecks,
    ...hygieneChecks,
  ].sort((left, right) => left.number - right.number),
);
