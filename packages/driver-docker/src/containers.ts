import type { DriverHandle, DynoInspection } from "@dynokit/manifold";
import { DriverError, isDynoId } from "@dynokit/manifold";
import type Docker from "dockerode";
import { containerName, LABEL, type Remembered } from "./container-spec.ts";
import { engineError, ignoreMissing, isMissing } from "./engine.ts";
import { outputOf } from "./exec.ts";
import { listeningIn, SOCKETS } from "./listening.ts";

/** The containers of one platform as the engine has them. */
export class Containers {
  readonly #docker: Docker;
  readonly #platform: string;
  readonly #closing: AbortSignal;

  /** Questions that wait end with `closing`. */
  constructor(docker: Docker, platform: string, closing: AbortSignal) {
    this.#docker = docker;
    this.#platform = platform;
    this.#closing = closing;
  }

  /** Of the dyno, whether there is one or not. */
  of(id: string): Docker.Container {
    return this.#docker.getContainer(containerName(id));
  }

  /** Those that have ended only when asked for. */
  async all(ended: boolean): Promise<readonly Docker.ContainerInspectInfo[]> {
    const label = [`${LABEL.platform}=${this.#platform}`];
    const found = await this.#docker
      .listContainers({ all: ended, filters: { label } })
      .catch((error: unknown) => {
        throw engineError(error, "Listing containers");
      });
    const infos = await Promise.all(
      found.map(({ Id }) => this.#docker.getContainer(Id).inspect().catch(ignoreMissing)),
    );
    return infos.filter((info) => info !== undefined);
  }

  /** Undefined for what is unknown, or another platform's. */
  async find(id: string): Promise<Docker.ContainerInspectInfo | undefined> {
    // Anything else is no part of a container's name, and might be a path of the engine's API.
    if (!isDynoId(id)) return undefined;
    try {
      const info = await this.of(id).inspect();
      return info.Config.Labels[LABEL.platform] === this.#platform ? info : undefined;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw engineError(error, `Inspecting dyno ${id}`);
    }
  }

  /** Throws `not-found`. */
  async inspect(id: string): Promise<Docker.ContainerInspectInfo> {
    const info = await this.find(id);
    if (!info) throw new DriverError("not-found", `The engine has no container of dyno ${id}.`);
    return info;
  }

  /** Resolves when the container has ended or is gone. The question ends with `signal`. */
  async ended(id: string, signal?: AbortSignal): Promise<void> {
    const abortSignal = signal ? AbortSignal.any([signal, this.#closing]) : this.#closing;
    try {
      await this.of(id).wait({ abortSignal });
    } catch (error) {
      if (!isMissing(error)) throw engineError(error, `Waiting for dyno ${id}`);
    }
  }

  /** To its init, which passes it to the main process. */
  async kill(id: string, signal: string): Promise<void> {
    await this.of(id)
      .kill({ signal })
      .catch((error: { statusCode?: number }) => {
        // 409: it ended between the question and the signal.
        if (error.statusCode === 409 || isMissing(error)) return;
        throw engineError(error, `Sending ${signal} to dyno ${id}`);
      });
  }

  /** What it listens on; undefined where no program can be run in it to look. */
  async listening(id: string): Promise<DynoInspection["listening"]> {
    try {
      return listeningIn(await outputOf(this.of(id), SOCKETS));
    } catch {
      return undefined;
    }
  }
}

/** By which a later manifold finds the container again. */
export function handleOf(info: Docker.ContainerInspectInfo): DriverHandle {
  const { Labels: labels } = info.Config;
  const { labels: own, port } = JSON.parse(labels[LABEL.handle] as string) as Remembered;
  const [network] = Object.values(info.NetworkSettings.Networks);
  const host = network?.IPAddress;
  return {
    version: 1,
    driver: "docker",
    id: labels[LABEL.id] as string,
    labels: own,
    startedAt: Date.parse(info.State.StartedAt),
    ...(port !== undefined && host ? { address: { host, port } } : {}),
    data: { container: info.Id },
  };
}
