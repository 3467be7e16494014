import type { DynoDriver } from "@dynokit/manifold";
import type { KitOptions } from "@dynokit/manifold/testing";
import { type Dynos, templateDriver } from "../src/driver.ts";

// All drivers that the kit makes must see the same dynos: that is how it plays a restart.
const dynos: Dynos = new Map();

/** Called by the kit, and by `dynokit-driver-check`, for each driver that they need. */
export const make = (): DynoDriver => templateDriver({}, dynos);

/** What the kit has to know of the engine. */
export const options: KitOptions = {
  // Must be declared on this machine: without it, a driver that declares nothing passes.
  expect: { signal: true, logs: true, containment: "group" },
  // Dynos get their code as a directory; add "slug" when the driver unpacks slugs.
  code: ["cwd"],
};
