import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { addAction, addListing, addShow, inner, type Row, text } from "./listing.ts";

const part = encodeURIComponent;
const base = "/account/app-transfers";

/** `apps:transfer` and `transfers…`: an app goes to another account, which accepts it. */
export function registerTransfers(program: Command, context: CommandContext): void {
  addAction(
    program,
    context,
    {
      name: "apps:transfer",
      arguments: ["<recipient>"],
      description: "offer an app to another account",
    },
    async (client, { app, values: [recipient] }) => {
      const result = await client.post<Row>(base, { app, recipient });
      return {
        result,
        said: `Offering ${app} to ${recipient}... done, ${text(result["state"]) || "pending"}`,
      };
    },
  );
  addListing(program, context, {
    name: "transfers",
    description: "list the transfers that you made or were offered",
    path: () => base,
    header: ["Id", "App", "From", "To", "State"],
    row: (item) => [
      text(item["id"]),
      inner(item, "app", "name"),
      inner(item, "owner", "email"),
      inner(item, "recipient", "email"),
      text(item["state"]),
    ],
    empty: "No transfers.",
    app: false,
  });
  addShow(program, context, {
    name: "transfers:info",
    arguments: ["<app-or-id>"],
    description: "show a transfer",
    path: (_, [id]) => `${base}/${id}`,
    app: false,
  });
  for (const [name, state, verb, description] of [
    ["accept", "accepted", "Accepting", "take an app that you were offered"],
    ["decline", "declined", "Declining", "refuse an app that you were offered"],
  ] as const)
    addAction(
      program,
      context,
      { name: `transfers:${name}`, arguments: ["<app-or-id>"], description, app: false },
      async (client, { values: [id = ""] }) => ({
        result: await client.patch(`${base}/${part(id)}`, { state }),
        said: `${verb} ${id}... done`,
      }),
    );
  addAction(
    program,
    context,
    {
      name: "transfers:cancel",
      arguments: ["<app-or-id>"],
      description: "take back a transfer that is pending",
      app: false,
    },
    async (client, { values: [id = ""] }) => ({
      result: await client.delete(`${base}/${part(id)}`),
      said: `Cancelling the transfer of ${id}... done`,
    }),
  );
}
