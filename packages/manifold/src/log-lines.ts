import { constants } from "node:os";
import type { ExitResult } from "./driver/contract.ts";
import type { DynoEvent, DynoState } from "./types.ts";

/** Names of the R codes (spec/dynos.md §12). */
export const dynoErrorNames: Readonly<Record<string, string>> = {
  R10: "Boot timeout",
  R12: "Exit timeout",
  R13: "Attach error",
  R14: "Memory quota exceeded",
  R15: "Memory quota vastly exceeded",
  R16: "Detached",
  R17: "Checksum error",
  R99: "Platform error",
};

/** The status as a shell has it: the exit code, or 128 + the number of the signal. */
export function exitStatus(result: ExitResult): number {
  if (result.exitCode !== null) return result.exitCode;
  const number = constants.signals[result.signal as NodeJS.Signals];
  return number === undefined ? 255 : 128 + number;
}

/**
 * The platform's lines about a transition, as Heroku writes them under `heroku[web.1]`
 * (spec/dynos.md §2, §12): a function of the event alone.
 */
export function logLines(event: DynoEvent): readonly string[] {
  const lines: string[] = [];
  const { from, to, cause } = event;
  if (to === "stopping" && from !== "stopping") {
    // What was prepared beforehand takes over: for those who read the log nothing restarts.
    const announcement = event.replacedBy === undefined ? announcements[cause] : undefined;
    if (announcement) lines.push(announcement);
    if (event.code) lines.push(...errorLines(event));
    const change = stoppingLine(event);
    if (change) lines.push(change);
  } else if (cause === "signal") {
    lines.push(
      event.signal === "SIGKILL"
        ? "Stopping process with SIGKILL"
        : `Stopping all processes with ${event.signal}`,
    );
  } else {
    if (cause === "wake") lines.push("Unidling");
    if (cause === "await-client") lines.push("Awaiting client");
    if (cause === "hangup") {
      lines.push("Client connection closed. Sending SIGHUP to all processes");
    }
    if (event.code) lines.push(...errorLines(event));
    if (cause === "start-error" && !event.code && event.detail !== undefined) {
      lines.push(`Process could not be started: ${event.detail}`);
    }
    if (cause === "exit-timeout" && event.code === "R12")
      lines.push("Stopping remaining processes with SIGKILL");
    if (event.exit) {
      if (event.code === "R15") lines.push("Stopping process with SIGKILL");
      lines.push(`Process exited with status ${exitStatus(event.exit)}`);
    }
    const change = changeLine(event);
    if (change) lines.push(change);
    if (event.command !== undefined) {
      lines.push(`Starting process with command \`${event.command}\``);
    }
  }
  return lines;
}

const announcements: { readonly [cause in DynoEvent["cause"]]?: string } = {
  restart: "Restarting",
  release: "Restarting",
  cycle: "Cycling",
  "time-to-live": "Cycling",
  idle: "Idling",
  relocate: "Relocating dyno to a new server",
};

function errorLines(event: DynoEvent): string[] {
  const name = dynoErrorNames[event.code as string];
  if (name === undefined) return [];
  const head = `Error ${event.code} (${name})`;
  // The memory codes have no explanation; what was measured comes in a line before them.
  if (event.code === "R14" || event.code === "R15") {
    return event.detail === undefined ? [head] : [event.detail, head];
  }
  return [event.detail === undefined ? head : `${head} -> ${event.detail}`];
}

/** A formation dyno that is about to stop: its successor starts, or there is none. */
function stoppingLine({ from, cause, code, oneOff, replacedBy }: DynoEvent): string | undefined {
  if (code !== undefined || oneOff) return undefined;
  const succeeded = cause === "restart" || cause === "release" || cause === "cycle";
  const to = succeeded && replacedBy === undefined ? "starting" : "down";
  return from === to ? undefined : `State changed from ${from} to ${to}`;
}

function changeLine(event: DynoEvent): string | undefined {
  const { from, to, cause } = event;
  if (from === null || from === to || cause === "recover") return undefined;
  // The line of the stop said so already.
  if (from === "stopping" && (to === "down" || to === "idle")) return undefined;
  // A successor that starts when its predecessor stops: "up to starting" was written for both.
  if (from === "provisioning" && event.replaces !== undefined) {
    // A move is told as an end and a start.
    return cause === "relocate" ? "State changed from down to starting" : undefined;
  }
  return `State changed from ${word(event.was ?? from)} to ${word(to)}`;
}

/** The log says `down` where the API says `idle` (observed on Heroku). */
const word = (state: DynoState) => (state === "idle" ? "down" : state);
