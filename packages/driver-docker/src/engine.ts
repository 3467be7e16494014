import { DriverError } from "@dynokit/manifold";
import Docker from "dockerode";
import type { Settings } from "./options.ts";

/** What dockerode rejects with. */
interface EngineFault {
  readonly statusCode?: number;
  readonly code?: string;
  readonly reason?: string;
  readonly json?: { readonly message?: string };
  readonly message: string;
}

/** Turns a refusal of the engine into the driver's error. */
export function engineError(cause: unknown, doing: string): DriverError {
  if (DriverError.is(cause)) return cause;
  const fault = cause as EngineFault;
  const said = fault.json?.message ?? fault.message;
  const message = `${doing}: ${said}`;
  switch (fault.statusCode) {
    case 404:
      return new DriverError("not-found", message, { cause });
    case 409:
      return new DriverError("already-exists", message, { cause });
    case 400:
      return new DriverError("invalid-spec", message, { cause });
    case undefined:
      return new DriverError(
        "unavailable",
        `${message}. Is the Docker Engine running, and may this user open its socket?`,
        { cause, retryable: true },
      );
    default:
      return new DriverError("failed", message, { cause, retryable: fault.statusCode >= 500 });
  }
}

/** True when the engine said that it knows no such thing. */
export const isMissing = (error: unknown) => (error as EngineFault).statusCode === 404;

export function connect(settings: Settings): Docker {
  return new Docker({ socketPath: settings.socketPath });
}

/** Makes the dynos' network when it is missing: dyno to dyno blocked, no way out without egress. */
export async function ensureNetwork(docker: Docker, settings: Settings): Promise<void> {
  try {
    await docker.getNetwork(settings.network).inspect();
  } catch (error) {
    if (!isMissing(error)) throw engineError(error, `Looking for network ${settings.network}`);
    await docker
      .createNetwork({
        Name: settings.network,
        CheckDuplicate: true,
        Driver: "bridge",
        Internal: !settings.egress,
        Options: { "com.docker.network.bridge.enable_icc": "false" },
      })
      .catch((fault: unknown) => {
        // Two dynos that start at once both find it missing; one of them makes it.
        if ((fault as EngineFault).statusCode !== 409)
          throw engineError(fault, `Making network ${settings.network}`);
      });
  }
}
