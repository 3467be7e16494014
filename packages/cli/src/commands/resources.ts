import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { addAction, addListing, addShow, fields, inner, type Row, text } from "./listing.ts";

const part = encodeURIComponent;

/** Domains, drains and access: lists with a way to add and one to remove. */
export function registerResources(program: Command, context: CommandContext): void {
  registerDomains(program, context);
  registerDrains(program, context);
  registerAccess(program, context);
}

function registerDomains(program: Command, context: CommandContext): void {
  addListing(program, context, {
    name: "domains",
    description: "list the domains of an app",
    path: (app) => `/apps/${app}/domains`,
    header: ["Domain", "Kind", "DNS target", "Status"],
    row: (item) => [
      text(item["hostname"]),
      text(item["kind"]),
      text(item["cname"]),
      text(item["status"]),
    ],
    empty: "No domains.",
  });
  addAction(
    program,
    context,
    { name: "domains:add", arguments: ["<hostname>"], description: "add a domain" },
    async (client, { app, values: [hostname] }) => {
      const result = await client.post<Row>(`/apps/${app}/domains`, {
        hostname,
        sni_endpoint: null,
      });
      const target = text(result["cname"]);
      return {
        result,
        said: `Adding ${hostname} to ${app}... done`,
        printed: target === "" ? undefined : `Point the DNS of ${hostname} at ${target}`,
      };
    },
  );
  addAction(
    program,
    context,
    { name: "domains:remove", arguments: ["<hostname>"], description: "remove a domain" },
    async (client, { app, values: [hostname = ""] }) => ({
      result: await client.delete(`/apps/${app}/domains/${part(hostname)}`),
      said: `Removing ${hostname} from ${app}... done`,
    }),
  );
  addShow(program, context, {
    name: "domains:info",
    arguments: ["<hostname>"],
    description: "show a domain",
    path: (app, [hostname]) => `/apps/${app}/domains/${hostname}`,
  });
  addAction(
    program,
    context,
    {
      name: "domains:update",
      arguments: ["<hostname>"],
      description: "choose the certificate of a domain",
      set: (command) =>
        command.requiredOption("--cert <name>", "the certificate, as `certs` lists it"),
    },
    async (client, { app, values: [hostname = ""], options }) => ({
      result: await client.patch(`/apps/${app}/domains/${part(hostname)}`, {
        sni_endpoint: options["cert"],
      }),
      said: `Updating ${hostname} to use ${text(options["cert"])}... done`,
    }),
  );
  addAction(
    program,
    context,
    { name: "domains:clear", description: "remove every custom domain" },
    async (client, { app }) => {
      const all = await client.list<Row>(`/apps/${app}/domains`);
      const custom = all.filter((item) => item["kind"] === "custom");
      for (const item of custom)
        await client.delete(`/apps/${app}/domains/${part(text(item["hostname"]))}`);
      return { result: custom, said: `Removing ${custom.length} domains from ${app}... done` };
    },
  );
}

function registerDrains(program: Command, context: CommandContext): void {
  addListing(program, context, {
    name: "drains",
    description: "list the log drains of an app",
    path: (app) => `/apps/${app}/log-drains`,
    header: ["URL", "Token"],
    row: (item) => [text(item["url"]), text(item["token"])],
    empty: "No drains.",
  });
  addAction(
    program,
    context,
    { name: "drains:add", arguments: ["<url>"], description: "send the log to a URL" },
    async (client, { app, values: [url] }) => {
      const result = await client.post<Row>(`/apps/${app}/log-drains`, { url });
      return {
        result,
        said: `Adding drain ${text(result["url"])}... done`,
        printed: text(result["token"]),
      };
    },
  );
  addAction(
    program,
    context,
    { name: "drains:remove", arguments: ["<url-or-token>"], description: "remove a drain" },
    async (client, { app, values: [drain = ""] }) => ({
      result: await client.delete(`/apps/${app}/log-drains/${part(drain)}`),
      said: "Removing drain... done",
    }),
  );
  addShow(program, context, {
    name: "drains:info",
    arguments: ["<drain>"],
    description: "show a drain, by id, token or URL",
    path: (app, [drain]) => `/apps/${app}/log-drains/${drain}`,
  });
  addAction(
    program,
    context,
    {
      name: "drains:test",
      arguments: ["<drain>"],
      description: "send one marked line through a drain",
    },
    async (client, { app, values: [drain = ""] }) => {
      const result = await client.post<Row>(`/apps/${app}/log-drains/${part(drain)}/test`);
      return { result, said: "Testing drain... done", printed: fields(result) };
    },
  );
  addAction(
    program,
    context,
    {
      name: "drains:ledger",
      arguments: ["<drain>"],
      description: "what a drain got, delivered, lost and holds",
    },
    async (client, { app, values: [drain = ""] }) => {
      const result = await client.get<Row>(`/apps/${app}/log-drains/${part(drain)}/ledger`);
      return { result, said: `Ledger of ${drain}`, printed: fields(result) };
    },
  );
}

function registerAccess(program: Command, context: CommandContext): void {
  addListing(program, context, {
    name: "access",
    description: "list who may use an app",
    path: (app) => `/apps/${app}/collaborators`,
    header: ["Account", "Role"],
    row: (item) => [inner(item, "user", "email"), text(item["role"])],
    empty: "Nobody but the owner.",
  });
  addAction(
    program,
    context,
    { name: "access:add", arguments: ["<email>"], description: "give an account access" },
    async (client, { app, values: [user] }) => ({
      result: await client.post(`/apps/${app}/collaborators`, { user }),
      said: `Adding ${user} access to ${app}... done`,
    }),
  );
  addAction(
    program,
    context,
    { name: "access:remove", arguments: ["<email>"], description: "take access away" },
    async (client, { app, values: [user = ""] }) => ({
      result: await client.delete(`/apps/${app}/collaborators/${part(user)}`),
      said: `Removing ${user} access from ${app}... done`,
    }),
  );
  addShow(program, context, {
    name: "access:info",
    arguments: ["<email>"],
    description: "show what an account may do",
    path: (app, [email]) => `/apps/${app}/collaborators/${email}`,
  });
  addAction(
    program,
    context,
    { name: "apps:leave", aliases: ["leave"], description: "give up your access to an app" },
    async (client, { app }) => {
      const { id } = await client.get<{ id: string }>("/account");
      const list = await client.list<Row>(`/apps/${app}/collaborators`);
      const mine = list.find((item) => inner(item, "user", "id") === id);
      return {
        result: await client.delete(`/apps/${app}/collaborators/${text(mine?.["id"] ?? id)}`),
        said: `Leaving ${app}... done`,
      };
    },
  );
}
