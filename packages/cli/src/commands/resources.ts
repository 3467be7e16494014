import type { Command } from "commander";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { table } from "../output/table.ts";

type Row = Readonly<Record<string, unknown>>;

interface ListingOptions {
  readonly name: string;
  readonly description: string;
  readonly path: (app: string) => string;
  readonly header: readonly string[];
  readonly row: (item: Row) => readonly string[];
  readonly empty: string;
  /** `false` for lists of the account and not of an app. */
  readonly app?: false;
}

const text = (value: unknown) => (value === null || value === undefined ? "" : String(value));
const inner = (item: Row, key: string, field: string) =>
  text((item[key] as Row | null | undefined)?.[field]);

/** The resources that are lists with one way to add and one to remove. */
export function registerResources(program: Command, context: CommandContext): void {
  const { terminal } = context;

  const listing = ({ name, description, path, header, row, empty, app }: ListingOptions) => {
    const command = withJson(program.command(name).description(description));
    (app === false ? command : withApp(command)).action(async (_, self: Command) => {
      const options = self.optsWithGlobals();
      const items = await clientOf(context, options).list<Row>(
        path(app === false ? "" : appOf(context, options)),
      );
      if (options["json"]) return terminal.out(JSON.stringify(items, null, 2));
      if (items.length === 0) return terminal.out(empty);
      return terminal.out(table(terminal, header, items.map(row)));
    });
  };

  listing({
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
  appAction("domains:add", "<hostname>", "add a domain", async (client, app, hostname) => {
    const domain = await client.post<Row>(`/apps/${app}/domains`, { hostname, sni_endpoint: null });
    terminal.err(`Adding ${hostname} to ${app}... done`);
    if (domain["cname"]) terminal.out(`Point the DNS of ${hostname} at ${domain["cname"]}`);
  });
  appAction("domains:remove", "<hostname>", "remove a domain", async (client, app, hostname) => {
    await client.delete(`/apps/${app}/domains/${encodeURIComponent(hostname)}`);
    terminal.err(`Removing ${hostname} from ${app}... done`);
  });

  listing({
    name: "drains",
    description: "list the log drains of an app",
    path: (app) => `/apps/${app}/log-drains`,
    header: ["URL", "Token"],
    row: (item) => [text(item["url"]), text(item["token"])],
    empty: "No drains.",
  });
  appAction("drains:add", "<url>", "send the log to a URL", async (client, app, url) => {
    const drain = await client.post<Row>(`/apps/${app}/log-drains`, { url });
    terminal.err(`Adding drain ${drain["url"]}... done`);
    terminal.out(text(drain["token"]));
  });
  appAction("drains:remove", "<url-or-token>", "remove a drain", async (client, app, drain) => {
    await client.delete(`/apps/${app}/log-drains/${encodeURIComponent(drain)}`);
    terminal.err(`Removing drain... done`);
  });
  appAction(
    "drains:test",
    "<drain>",
    "send one marked line through a drain",
    async (client, app, drain) => {
      const result = await client.post(`/apps/${app}/log-drains/${encodeURIComponent(drain)}/test`);
      terminal.out(JSON.stringify(result, null, 2));
    },
  );
  appAction(
    "drains:ledger",
    "<drain>",
    "what a drain got, delivered, lost and holds",
    async (client, app, drain) => {
      const result = await client.get(
        `/apps/${app}/log-drains/${encodeURIComponent(drain)}/ledger`,
      );
      terminal.out(JSON.stringify(result, null, 2));
    },
  );

  listing({
    name: "certs",
    description: "list the certificates of an app",
    path: (app) => `/apps/${app}/sni-endpoints`,
    header: ["Name", "Domains", "Expires"],
    row: (item) => [
      text(item["name"]),
      ((item["ssl_cert"] as { cert_domains?: string[] } | null)?.cert_domains ?? []).join(" "),
      inner(item, "ssl_cert", "expires_at"),
    ],
    empty: "No certificates.",
  });

  listing({
    name: "access",
    description: "list who may use an app",
    path: (app) => `/apps/${app}/collaborators`,
    header: ["Account", "Role"],
    row: (item) => [inner(item, "user", "email"), text(item["role"])],
    empty: "Nobody but the owner.",
  });
  appAction("access:add", "<email>", "give an account access", async (client, app, user) => {
    await client.post(`/apps/${app}/collaborators`, { user });
    terminal.err(`Adding ${user} access to ${app}... done`);
  });
  appAction("access:remove", "<email>", "take access away", async (client, app, user) => {
    await client.delete(`/apps/${app}/collaborators/${encodeURIComponent(user)}`);
    terminal.err(`Removing ${user} access from ${app}... done`);
  });

  listing({
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
  withApp(
    program
      .command("webhooks:add")
      .argument("<url>")
      .description("call a URL when something happens"),
  )
    .requiredOption("-i, --include <entities>", "comma list, such as api:release,dyno")
    .option("-l, --level <level>", "notify or sync", "notify")
    .option("-s, --secret <secret>", "secret of the signature; made when absent")
    .action(async (url: string, _, self: Command) => {
      const options = self.optsWithGlobals();
      const body = {
        url,
        include: String(options["include"]).split(","),
        level: options["level"],
        ...(options["secret"] === undefined ? {} : { secret: options["secret"] }),
      };
      const answer = await clientOf(context, options).send(
        "POST",
        `/apps/${appOf(context, options)}/webhooks`,
        { body },
      );
      terminal.err("Adding webhook... done");
      const secret = answer.headers.get("heroku-webhook-secret");
      if (secret !== null) terminal.out(`Secret (shown once): ${secret}`);
    });
  appAction("webhooks:remove", "<id>", "remove a webhook", async (client, app, id) => {
    await client.delete(`/apps/${app}/webhooks/${id}`);
    terminal.err("Removing webhook... done");
  });

  listing({
    name: "pipelines",
    description: "list the pipelines",
    path: () => "/pipelines",
    header: ["Pipeline"],
    row: (item) => [text(item["name"])],
    empty: "No pipelines.",
    app: false,
  });
  listing({
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
  program
    .command("tokens:create")
    .description("make an API token; it is shown once")
    .option("-d, --description <text>", "what it is for")
    .option("-s, --scope <scopes>", "comma list, such as read,write", "global")
    .option("-e, --expires-in <seconds>", "life in seconds; for ever when absent")
    .action(async (_, self: Command) => {
      const options = self.optsWithGlobals();
      const made = await clientOf(context, options).post<Row>("/oauth/authorizations", {
        scope: String(options["scope"]).split(","),
        ...(options["description"] === undefined ? {} : { description: options["description"] }),
        ...(options["expiresIn"] === undefined ? {} : { expires_in: Number(options["expiresIn"]) }),
      });
      terminal.out(inner(made, "access_token", "token"));
    });
  program
    .command("tokens:revoke")
    .argument("<id>")
    .description("revoke an API token")
    .action(async (id: string, _, self: Command) => {
      await clientOf(context, self.optsWithGlobals()).delete(`/oauth/authorizations/${id}`);
      terminal.err("Revoking token... done");
    });

  function appAction(
    name: string,
    argument: string,
    description: string,
    act: (client: ReturnType<typeof clientOf>, app: string, value: string) => Promise<void>,
  ): void {
    withApp(program.command(name).argument(argument).description(description)).action(
      async (value: string, _, self: Command) => {
        const options = self.optsWithGlobals();
        await act(clientOf(context, options), appOf(context, options), value);
      },
    );
  }
}
