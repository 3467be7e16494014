import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { addAction, addListing, addShow, text } from "./listing.ts";

/** What the platform has to choose from: `regions`, `stacks`, `sizes`, `generations`. */
export function registerCatalog(program: Command, context: CommandContext): void {
  addListing(program, context, {
    name: "regions",
    description: "list the regions",
    path: () => "/regions",
    header: ["Region", "What"],
    row: (item) => [text(item["name"]), text(item["description"])],
    empty: "No regions.",
    app: false,
  });
  addListing(program, context, {
    name: "stacks",
    description: "list the stacks that builds can be made for",
    path: () => "/stacks",
    header: ["Stack", "State"],
    row: (item) => [
      `${text(item["name"])}${item["default"] === true ? " (default)" : ""}`,
      text(item["state"]),
    ],
    empty: "No stacks.",
    app: false,
  });
  addListing(program, context, {
    name: "apps:stacks",
    aliases: ["stack"],
    description: "list the stacks that an app can use",
    path: (app) => `/apps/${app}/available-stacks`,
    header: ["Stack", "State"],
    row: (item) => [text(item["name"]), text(item["state"])],
    empty: "No stacks.",
  });
  addAction(
    program,
    context,
    {
      name: "apps:stacks:set",
      aliases: ["stack:set"],
      arguments: ["<stack>"],
      description: "set the stack of the next build",
    },
    async (client, { app, values: [stack] }) => ({
      result: await client.patch(`/apps/${app}`, { build_stack: stack }),
      said: `Setting stack to ${stack}... done\nThe next deploy of ${app} uses it.`,
    }),
  );
  addListing(program, context, {
    name: "sizes",
    aliases: ["dyno-sizes"],
    description: "list the sizes of dynos",
    path: () => "/dyno-sizes",
    header: ["Size", "Memory GB", "Compute", "Dedicated"],
    row: (item) => [
      text(item["name"]),
      text(item["memory"]),
      text(item["compute"]),
      item["dedicated"] === true ? "yes" : "",
    ],
    empty: "No sizes.",
    app: false,
  });
  addListing(program, context, {
    name: "ps:sizes",
    description: "list the sizes that the dynos of an app can have",
    path: (app) => `/apps/${app}/available-dyno-sizes`,
    header: ["Size", "Memory GB", "Compute"],
    row: (item) => [text(item["name"]), text(item["memory"]), text(item["compute"])],
    empty: "No sizes.",
  });
  addListing(program, context, {
    name: "generations",
    description: "list the generations of the platform and what they can do",
    path: () => "/generations",
    header: ["Generation", "Features"],
    row: (item) => [text(item["name"]), (item["features"] as string[]).join(", ")],
    empty: "No generations.",
    app: false,
  });
  for (const [name, base, noun] of [
    ["regions:info", "/regions", "region"],
    ["stacks:info", "/stacks", "stack"],
    ["sizes:info", "/dyno-sizes", "size"],
    ["generations:info", "/generations", "generation"],
  ] as const)
    addShow(program, context, {
      name,
      arguments: [`<${noun}>`],
      description: `show a ${noun}, by name or id`,
      path: (_, [key]) => `${base}/${key}`,
      app: false,
    });
}
