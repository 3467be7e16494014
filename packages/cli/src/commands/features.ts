import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { addAction, addListing, addShow, text } from "./listing.ts";

/** `features…` are the switches of an app, `labs…` those of the account. */
export function registerFeatures(program: Command, context: CommandContext): void {
  for (const [command, whose, app, base] of [
    ["features", "an app", undefined, (name: string) => `/apps/${name}/features`],
    ["labs", "your account", false, () => "/account/features"],
  ] as const) {
    const scope = app === false ? { app } : {};
    addListing(program, context, {
      name: command,
      description: `list the switches of ${whose}`,
      path: base,
      header: ["Feature", "", "What it does"],
      row: (item) => [
        text(item["name"]),
        item["enabled"] === true ? context.terminal.colour.green("on") : "off",
        text(item["description"]),
      ],
      empty: "No features.",
      ...scope,
    });
    addShow(program, context, {
      name: `${command}:info`,
      arguments: ["<feature>"],
      description: `show a switch of ${whose}`,
      path: (name, [feature]) => `${base(name)}/${feature}`,
      ...scope,
    });
    for (const [name, enabled, verb] of [
      ["enable", true, "Enabling"],
      ["disable", false, "Disabling"],
    ] as const)
      addAction(
        program,
        context,
        {
          name: `${command}:${name}`,
          arguments: ["<feature>"],
          description: `turn a switch of ${whose} ${enabled ? "on" : "off"}`,
          ...scope,
        },
        async (client, given) => {
          const [feature = ""] = given.values;
          return {
            result: await client.patch(`${base(given.app)}/${encodeURIComponent(feature)}`, {
              enabled,
            }),
            said: `${verb} ${feature} for ${app === false ? "your account" : given.app}... done`,
          };
        },
      );
  }
}
