import type { DynoEvent, Manifold } from "@dynokit/manifold";
import type { RouteTable } from "@dynokit/router";
import type { LocalDriver } from "./driver.ts";
import type { LocalType, Project } from "./project.ts";

/** Key of a type's route; `web` is the app itself. */
export const routeOf = (project: Project, type: string) =>
  type === "web" ? project.name : `${project.name}/${type}`;

/** Hosts by which a type is reached: `shop.localhost` for `web`, `api.shop.localhost` for `api`. */
export function hostsOf(project: Project, type: LocalType): string[] {
  if (type.name === "web") return [`${project.name}.localhost`, "localhost", "127.0.0.1"];
  const label = type.name.toLowerCase().replaceAll(/[^a-z0-9-]/g, "-");
  return [`${label}.${project.name}.localhost`];
}

/** Every type with a port has a route of its own; its dynos are the backends. */
export function followTypes(
  table: RouteTable,
  manifold: Manifold,
  driver: LocalDriver,
  project: Project,
): void {
  const ported = project.types.filter(({ port }) => port !== undefined);
  for (const type of ported)
    table.set(routeOf(project, type.name), { hosts: hostsOf(project, type), name: project.name });
  const listeners = new Map<unknown, (event: DynoEvent) => void>();
  const routed = (type: string) => ported.some(({ name }) => name === type);
  table.follow({
    on: (_, listener) => {
      const forward = (event: DynoEvent) => {
        if (event.oneOff || !routed(event.type)) return;
        // Known only when the dyno listens, which is when it is up.
        const address = driver.addressOf(event.id) ?? event.address;
        listener({
          ...event,
          app: routeOf(project, event.type),
          ...(address ? { address } : {}),
        });
      };
      listeners.set(listener, forward);
      manifold.on("dyno", forward);
    },
    off: (_, listener) => {
      const forward = listeners.get(listener);
      if (forward) manifold.off("dyno", forward);
    },
    onDrain: (handler) =>
      manifold.onDrain((dyno, deadline) =>
        handler({ ...dyno, app: routeOf(project, dyno.dyno.replace(/\.\d+$/, "")) }, deadline),
      ),
  });
}
