import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { addAction, addListing, addShow, type Row, text } from "./listing.ts";

const part = encodeURIComponent;

/** `clients…`: programs that may ask accounts for authorizations. */
export function registerClients(program: Command, context: CommandContext): void {
  addListing(program, context, {
    name: "clients",
    description: "list the OAuth clients that you registered",
    path: () => "/oauth/clients",
    header: ["Id", "Name", "Redirects to"],
    row: (item) => [text(item["id"]), text(item["name"]), text(item["redirect_uri"])],
    empty: "No clients.",
    app: false,
  });
  addShow(program, context, {
    name: "clients:info",
    arguments: ["<id>"],
    description: "show an OAuth client",
    path: (_, [id]) => `/oauth/clients/${id}`,
    app: false,
  });
  const secretOf = (result: Row) => `Id:      ${text(result["id"])}
Secret:  ${text(result["secret"])} (shown once)`;
  addAction(
    program,
    context,
    {
      name: "clients:create",
      arguments: ["<name>", "<redirect-uri>"],
      description: "register an OAuth client; its secret is shown once",
      app: false,
    },
    async (client, { values: [name, redirect] }) => {
      const result = await client.post<Row>("/oauth/clients", { name, redirect_uri: redirect });
      return { result, said: `Creating ${name}... done`, printed: secretOf(result) };
    },
  );
  addAction(
    program,
    context,
    {
      name: "clients:update",
      arguments: ["<id>"],
      description: "change name or redirect URI of an OAuth client",
      app: false,
      set: (command) =>
        command
          .option("-n, --name <name>", "the name")
          .option("-u, --url <uri>", "the redirect URI"),
    },
    async (client, { values: [id = ""], options: { name, url } }) => ({
      result: await client.patch(`/oauth/clients/${part(id)}`, {
        ...(name === undefined ? {} : { name }),
        ...(url === undefined ? {} : { redirect_uri: url }),
      }),
      said: "Updating client... done",
    }),
  );
  addAction(
    program,
    context,
    {
      name: "clients:rotate",
      arguments: ["<id>"],
      description: "give an OAuth client a new secret; the old one is void at once",
      app: false,
    },
    async (client, { values: [id = ""] }) => {
      const path = `/oauth/clients/${part(id)}/actions/rotate-credentials`;
      const result = await client.post<Row>(path);
      return { result, said: "Rotating secret... done", printed: secretOf(result) };
    },
  );
  addAction(
    program,
    context,
    {
      name: "clients:destroy",
      arguments: ["<id>"],
      description: "remove an OAuth client with every authorization it got",
      app: false,
    },
    async (client, { values: [id = ""] }) => ({
      result: await client.delete(`/oauth/clients/${part(id)}`),
      said: "Removing client... done",
    }),
  );
}
