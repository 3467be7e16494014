import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { addAction, addListing, addShow, inner, type Row, text } from "./listing.ts";

const part = encodeURIComponent;

/** `tokens…`, which Heroku calls `authorizations…`. */
export function registerTokens(program: Command, context: CommandContext): void {
  addListing(program, context, {
    name: "tokens",
    aliases: ["authorizations"],
    description: "list the API tokens of this account",
    path: () => "/oauth/authorizations",
    header: ["Id", "Description", "Scope", "Created"],
    row: (item) => [
      text(item["id"]),
      text(item["description"]),
      (item["scope"] as string[]).join(","),
      text(item["created_at"]),
    ],
    empty: "No tokens.",
    app: false,
  });
  addShow(program, context, {
    name: "tokens:info",
    aliases: ["authorizations:info"],
    arguments: ["[id]"],
    description: "show a token; without an id the one in use",
    path: (_, [id = "~"]) => `/oauth/authorizations/${id}`,
    app: false,
  });
  addAction(
    program,
    context,
    {
      name: "tokens:create",
      aliases: ["authorizations:create"],
      description: "make an API token; it is shown once",
      app: false,
      set: (command) =>
        command
          .option("-d, --description <text>", "what it is for")
          .option("-s, --scope <scopes>", "comma list, such as read,write", "global")
          .option("-e, --expires-in <seconds>", "life in seconds; for ever when absent"),
    },
    async (client, { options }) => {
      const { description, expiresIn } = options;
      const result = await client.post<Row>("/oauth/authorizations", {
        scope: String(options["scope"]).split(","),
        ...(description === undefined ? {} : { description }),
        ...(expiresIn === undefined ? {} : { expires_in: Number(expiresIn) }),
      });
      return {
        result,
        said: "Creating token... done",
        printed: inner(result, "access_token", "token"),
      };
    },
  );
  addAction(
    program,
    context,
    {
      name: "tokens:update",
      aliases: ["authorizations:update"],
      arguments: ["<id>"],
      description: "say anew what a token is for",
      app: false,
      set: (command) => command.requiredOption("-d, --description <text>", "what it is for"),
    },
    async (client, { values: [id = ""], options }) => ({
      result: await client.patch(`/oauth/authorizations/${part(id)}`, {
        description: options["description"],
      }),
      said: "Updating token... done",
    }),
  );
  addAction(
    program,
    context,
    {
      name: "tokens:rotate",
      aliases: ["authorizations:rotate"],
      arguments: ["<id>"],
      description: "make a new token in place of one, which is void at once",
      app: false,
    },
    async (client, { values: [id = ""] }) => {
      const path = `/oauth/authorizations/${part(id)}/actions/regenerate-tokens`;
      const result = await client.post<Row>(path);
      return {
        result,
        said: "Rotating token... done",
        printed: inner(result, "access_token", "token"),
      };
    },
  );
  addAction(
    program,
    context,
    {
      name: "tokens:revoke",
      aliases: ["authorizations:revoke", "authorizations:destroy"],
      arguments: ["<id>"],
      description: "revoke an API token",
      app: false,
    },
    async (client, { values: [id = ""] }) => ({
      result: await client.delete(`/oauth/authorizations/${part(id)}`),
      said: "Revoking token... done",
    }),
  );
}
