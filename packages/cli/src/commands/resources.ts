import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { addAction, addListing, inner, type Row, text } from "./listing.ts";

const part = encodeURIComponent;

/** Domains, drains, access, webhooks and tokens: lists with a way to add and one to remove. */
export function registerResources(program: Command, context: CommandContext): void {
  registerDomains(program, context);
  registerDrains(program, context);
  registerAccess(program, context);
  registerWebhooks(program, context);
  registerTokens(program, context);
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

/** `key: value` lines; what is nested follows as JSON. */
function fields(item: Row): string {
  const entries = Object.entries(item);
  const width = Math.max(0, ...entries.map(([key]) => key.length)) + 2;
  return entries
    .map(([key, value]) => {
      const shown = typeof value === "object" && value !== null ? JSON.stringify(value) : value;
      return `${`${key}:`.padEnd(width)}${text(shown)}`.trimEnd();
    })
    .join("\n");
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
}

function registerWebhooks(program: Command, context: CommandContext): void {
  addListing(program, context, {
    name: "webhooks",
    description: "list the webhooks of an app",
    path: (app) => `/apps/${app}/webhooks`,
    header: ["Id", "URL", "Include", "Level"],
    row: (item) => [
      text(item["id"]),
      text(item["url"]),
      (item["include"] as string[]).join(","),
      text(item["level"]),
    ],
    empty: "No webhooks.",
  });
  addAction(
    program,
    context,
    {
      name: "webhooks:add",
      arguments: ["<url>"],
      description: "call a URL when something happens",
      set: (command) =>
        command
          .requiredOption("-i, --include <entities>", "comma list, such as api:release,dyno")
          .option("-l, --level <level>", "notify or sync", "notify")
          .option("-s, --secret <secret>", "secret of the signature; made when absent"),
    },
    async (client, { app, values: [url], options }) => {
      const { level, secret } = options;
      const body = {
        url,
        include: String(options["include"]).split(","),
        level,
        ...(secret === undefined ? {} : { secret }),
      };
      const answer = await client.send("POST", `/apps/${app}/webhooks`, { body });
      const shown = answer.headers.get("heroku-webhook-secret");
      return {
        result: {
          ...((await answer.json()) as Row),
          ...(shown === null ? {} : { secret: shown }),
        },
        said: "Adding webhook... done",
        printed: shown === null ? undefined : `Secret (shown once): ${shown}`,
      };
    },
  );
  addAction(
    program,
    context,
    { name: "webhooks:remove", arguments: ["<id>"], description: "remove a webhook" },
    async (client, { app, values: [id = ""] }) => ({
      result: await client.delete(`/apps/${app}/webhooks/${part(id)}`),
      said: "Removing webhook... done",
    }),
  );
}

function registerTokens(program: Command, context: CommandContext): void {
  addListing(program, context, {
    name: "tokens",
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
  addAction(
    program,
    context,
    {
      name: "tokens:create",
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
      name: "tokens:revoke",
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
