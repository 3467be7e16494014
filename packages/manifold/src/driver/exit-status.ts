import { constants } from "node:os";

// Some have two names; the first is the one that Node itself uses.
const names = new Map(
  Object.entries(constants.signals)
    .toReversed()
    .map(([name, number]) => [number, name as NodeJS.Signals]),
);

/**
 * The signal that an exit status tells of, where something between the driver and the dyno (a shell,
 * an init, an engine) gives only a status: 128 + the signal's number. A program that itself exits
 * with such a status can't be told apart.
 */
export function signalOfStatus(status: number): NodeJS.Signals | undefined {
  return names.get(status - 128);
}
