import type { z } from "zod";
import { notFound } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import {
  dynoSizeSchema,
  dynoSizes,
  findNamed,
  generationSchema,
  generations,
  regionSchema,
  regions,
  stackSchema,
  stacks,
} from "../resources/catalog.ts";

type Row = { readonly id: string; readonly name: string };

function listAt(
  resource: string,
  title: string,
  path: string,
  response: z.ZodType,
  rows: readonly Row[],
): Endpoint {
  return defineEndpoint({
    resource,
    title,
    method: "GET",
    path,
    verb: "read",
    summary: `Lists what there is of ${resource.replaceAll("-", " ")}s.`,
    response,
    ranges: ["name", "id"],
    handler: async () => rows,
  });
}

function infoAt(
  resource: string,
  path: string,
  response: z.ZodType,
  rows: readonly Row[],
): Endpoint {
  const parameter = /\{(\w+)\}$/.exec(path)?.[1] ?? "id";
  return defineEndpoint({
    resource,
    title: "Info",
    method: "GET",
    path,
    verb: "read",
    summary: `Shows a ${resource.replaceAll("-", " ")}, by id or name.`,
    response,
    handler: async ({ params }) => {
      const row = findNamed(rows, params[parameter] ?? "");
      if (!row) throw notFound(resource.replaceAll("-", "_"));
      return row;
    },
  });
}

export const catalogEndpoints: readonly Endpoint[] = [
  listAt("region", "List", "/regions", regionSchema, regions),
  infoAt("region", "/regions/{region}", regionSchema, regions),
  listAt("stack", "List", "/stacks", stackSchema, stacks),
  listAt("stack", "List by App", "/apps/{app}/available-stacks", stackSchema, stacks),
  infoAt("stack", "/stacks/{stack}", stackSchema, stacks),
  listAt("dyno-size", "List", "/dyno-sizes", dynoSizeSchema, dynoSizes),
  listAt(
    "dyno-size",
    "List App Dyno Sizes",
    "/apps/{app}/available-dyno-sizes",
    dynoSizeSchema,
    dynoSizes,
  ),
  infoAt("dyno-size", "/dyno-sizes/{dyno_size}", dynoSizeSchema, dynoSizes),
  listAt("generation", "List", "/generations", generationSchema, generations),
  infoAt("generation", "/generations/{stack}", generationSchema, generations),
];
