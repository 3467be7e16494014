import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { addAction, addListing, text } from "./listing.ts";

/** `features`, `features:enable`, `features:disable`. */
export function registerFeatures(program: Command, context: CommandContext): void {
  addListing(program, context, {
    name: "features",
    description: "list the switches of an app",
    path: (app) => `/apps/${app}/features`,
    header: ["Feature", "", "What it does"],
    row: (item) => [
      text(item["name"]),
      item["enabled"] === true ? context.terminal.colour.green("on") : "off",
      text(item["description"]),
    ],
    empty: "No features.",
  });
  for (const [name, enabled, verb] of [
    ["enable", true, "Enabling"],
    ["disable", false, "Disabling"],
  ] as const)
    addAction(
      program,
      context,
      {
        name: `features:${name}`,
        arguments: ["<feature>"],
        description: `turn a switch ${enabled ? "on" : "off"}`,
      },
      async (client, { app, values: [feature = ""] }) => ({
        result: await client.patch(`/apps/${app}/features/${encodeURIComponent(feature)}`, {
          enabled,
        }),
        said: `${verb} ${feature} for ${app}... done`,
      }),
    );
}
