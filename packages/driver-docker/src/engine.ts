import { Agent } from "node:http";
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

/** A refusal to unpack: where the archive itself is the reason, a second try is no better. */
export function slugError(cause: unknown, doing: string): DriverError {
  const error = engineError(cause, doing);
  return /tar|gzip|archive|symlink|hardlink/i.test((cause as EngineFault).json?.message ?? "")
    ? new DriverError("failed", `${error.message}. Build it again without what is named`, {
        cause,
        retryable: false,
      })
    : error;
}

/** True when the engine said that it knows no such thing. */
export const isMissing = (error: unknown) => (error as EngineFault).statusCode === 404;

/** What it knows no such thing of is undefined; anything else is a fault. */
export function ignoreMissing(error: unknown): undefined {
  if (!isMissing(error)) throw engineError(error, "Asking the engine");
  return undefined;
}

export function connect(settings: Settings): Docker {
  // A connection that is kept is one that an engine's restart breaks under the next question.
  const agent = new Agent({ keepAlive: false });
  return new Docker({ socketPath: settings.socketPath, agent } as Docker.DockerOptions);
}

/**
 * Id of the dynos' network, made when it is missing: dyno to dyno blocked, no way out without
 * egress. The engine lets several networks have one name, so of two made at the same moment the
 * older one counts and the other is removed.
 */
export async function ensureNetwork(docker: Docker, settings: Settings): Promise<string> {
  const find = async () => {
    // biome-ignore lint/nursery/useAwaitThenable: dockerode's overload for callbacks hides the promise.
    const all = await docker.listNetworks({ filters: { name: [settings.network] } });
    return all
      .filter(({ Name }) => Name === settings.network)
      .sort((a, b) => (a.Created ?? "").localeCompare(b.Created ?? "") || a.Id.localeCompare(b.Id))
      .map(({ Id }) => Id);
  };
  try {
    const [known] = await find();
    if (known !== undefined) return known;
    const made = await docker.createNetwork({
      Name: settings.network,
      Driver: "bridge",
      Internal: !settings.egress,
      Options: { "com.docker.network.bridge.enable_icc": "false" },
    });
    const [oldest = made.id] = await find();
    if (oldest !== made.id) await made.remove();
    return oldest;
  } catch (error) {
    throw engineError(error, `Making network ${settings.network}`);
  }
}
