import { z } from "zod";
import { nameUuid, reference, timestamp, uuid } from "./common.ts";

// What is part of this package rather than of a store has existed since its first version.
const since = "2026-01-01T00:00:00Z";

export const regionSchema = z
  .strictObject({
    id: uuid,
    name: z.string(),
    description: z.string(),
    country: z.string(),
    locale: z.string(),
    private_capable: z.boolean(),
    provider: z.strictObject({ name: z.string(), region: z.string() }),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: "region" });

export const stackSchema = z
  .strictObject({
    id: uuid,
    name: z.string(),
    default: z.boolean(),
    state: z.string(),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: "stack" });

export const dynoSizeSchema = z
  .strictObject({
    id: uuid,
    name: z.string(),
    architecture: z.string(),
    compute: z.int(),
    cost: z.record(z.string(), z.unknown()).nullable(),
    dedicated: z.boolean(),
    generation: reference,
    memory: z.number(),
    precise_dyno_units: z.number(),
    private_space_only: z.boolean(),
    can_autoscale: z.boolean(),
    infrastructure_tier: z.string(),
    product_dyno_tier: z.string(),
  })
  .meta({ id: "dyno-size" });

export const generationSchema = z
  .strictObject({
    id: uuid,
    name: z.string(),
    features: z.array(z.string()),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: "generation" });

export const cedar = { id: nameUuid("generation:cedar"), name: "cedar" } as const;

export const generations: readonly z.output<typeof generationSchema>[] = [
  {
    ...cedar,
    features: ["buildpacks", "git", "log-drains", "one-off-dynos", "pipelines", "webhooks"],
    created_at: since,
    updated_at: since,
  },
];

export const regions: readonly z.output<typeof regionSchema>[] = (["us", "eu"] as const).map(
  (name) => ({
    id: nameUuid(`region:${name}`),
    name,
    description: "This installation",
    country: "This installation",
    locale: "This installation",
    private_capable: false,
    provider: { name: "dynokit", region: name },
    created_at: since,
    updated_at: since,
  }),
);

export const stacks: readonly z.output<typeof stackSchema>[] = [
  { name: "heroku-24", default: true, state: "public" },
  { name: "heroku-22", default: false, state: "public" },
  { name: "heroku-26", default: false, state: "public" },
].map((stack) => ({
  id: nameUuid(`stack:${stack.name}`),
  ...stack,
  created_at: since,
  updated_at: since,
}));

export const defaultStack = stacks[0] as z.output<typeof stackSchema>;

/** Memory in GB as Heroku lists it, share of a machine, dedicated or not. */
const sizes: readonly (readonly [string, number, number, boolean, boolean])[] = [
  ["Eco", 0.5, 1, false, false],
  ["Basic", 0.5, 1, false, false],
  ["Standard-1X", 0.5, 1, false, false],
  ["Standard-2X", 1, 2, false, false],
  ["Performance-M", 2.5, 12, true, false],
  ["Performance-L", 14, 50, true, false],
  ["Performance-L-RAM", 30, 24, true, false],
  ["Performance-XL", 62, 50, true, false],
  ["Performance-2XL", 126, 100, true, false],
  ["Private-S", 1, 12, true, true],
  ["Private-M", 2.5, 25, true, true],
  ["Private-L", 14, 100, true, true],
];

export const dynoSizes: readonly z.output<typeof dynoSizeSchema>[] = sizes.map(
  ([name, memory, compute, dedicated, space]) => ({
    id: nameUuid(`dyno-size:${name.toLowerCase()}`),
    name,
    architecture: "amd64",
    compute,
    cost: null,
    dedicated,
    generation: cedar,
    memory,
    precise_dyno_units: compute,
    private_space_only: space,
    can_autoscale: false,
    infrastructure_tier: dedicated ? "performance" : "standard",
    product_dyno_tier: name.split("-")[0]?.toLowerCase() ?? name,
  }),
);

type Named = { readonly id: string; readonly name: string };

/** By id, or by name in any letter case. */
export function findNamed<T extends Named>(list: readonly T[], key: string): T | undefined {
  const lower = key.toLowerCase();
  return list.find((item) => item.id === lower || item.name.toLowerCase() === lower);
}

export function regionReference(name: string): Named {
  return { id: nameUuid(`region:${name}`), name };
}

export function stackReference(name: string): Named {
  return { id: nameUuid(`stack:${name}`), name };
}

export function sizeReference(name: string): Named {
  return { id: nameUuid(`dyno-size:${name.toLowerCase()}`), name };
}
