import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { addAction, addListing, addShow, inner, type Row, text } from "./listing.ts";

const part = encodeURIComponent;

const withSubscription = (command: Command) =>
  command
    .option("-l, --level <level>", "notify or sync")
    .option("-s, --secret <secret>", "secret of the signature; made when absent")
    .option("-t, --authorization <header>", "value of the Authorization header of deliveries");

/** What was given of a subscription. */
function subscription(options: Row): Row {
  const { include, level, secret, authorization, url } = options;
  return {
    ...(url === undefined ? {} : { url }),
    ...(include === undefined ? {} : { include: String(include).split(",") }),
    ...(level === undefined ? {} : { level }),
    ...(secret === undefined ? {} : { secret }),
    ...(authorization === undefined ? {} : { authorization }),
  };
}

/** `webhooks…`: subscriptions, and what became of the events that they asked for. */
export function registerWebhooks(program: Command, context: CommandContext): void {
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
  addShow(program, context, {
    name: "webhooks:info",
    arguments: ["<id>"],
    description: "show a webhook",
    path: (app, [id]) => `/apps/${app}/webhooks/${id}`,
  });
  addAction(
    program,
    context,
    {
      name: "webhooks:add",
      arguments: ["<url>"],
      description: "call a URL when something happens",
      set: (command) =>
        withSubscription(
          command.requiredOption(
            "-i, --include <entities>",
            "comma list, such as api:release,dyno",
          ),
        ),
    },
    async (client, { app, values: [url], options }) => {
      const body = { level: "notify", ...subscription({ ...options, url }) };
      const answer = await client.send("POST", `/apps/${app}/webhooks`, { body });
      return {
        ...(await withSecret(answer)),
        said: "Adding webhook... done",
      };
    },
  );
  addAction(
    program,
    context,
    {
      name: "webhooks:update",
      arguments: ["<id>"],
      description: "change what of a webhook is given",
      set: (command) =>
        withSubscription(
          command
            .option("-u, --url <url>", "where to send to")
            .option("-i, --include <entities>", "comma list, such as api:release,dyno"),
        ),
    },
    async (client, { app, values: [id = ""], options }) => {
      const body = subscription(options);
      if (Object.keys(body).length === 0)
        throw new CliError(
          "usage",
          "Nothing to change: give --url, --include, --level, --secret or --authorization.",
        );
      const answer = await client.send("PATCH", `/apps/${app}/webhooks/${part(id)}`, { body });
      return { ...(await withSecret(answer)), said: "Updating webhook... done" };
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
  addListing(program, context, {
    name: "webhooks:deliveries",
    description: "list the newest deliveries: how often tried, and what was answered",
    path: (app) => `/apps/${app}/webhook-deliveries`,
    header: ["Delivery", "Event", "Status", "Attempts", "Code", "Next attempt"],
    row: (item) => [
      text(item["id"]),
      inner(item, "event", "include"),
      text(item["status"]),
      text(item["num_attempts"]),
      inner(item, "last_attempt", "code") || inner(item, "last_attempt", "error_class"),
      text(item["next_attempt_at"]),
    ],
    empty: "No deliveries.",
  });
  addShow(program, context, {
    name: "webhooks:deliveries:info",
    arguments: ["<delivery>"],
    description: "show a delivery",
    path: (app, [delivery]) => `/apps/${app}/webhook-deliveries/${delivery}`,
  });
  addListing(program, context, {
    name: "webhooks:events",
    description: "list the newest events that webhooks asked for",
    path: (app) => `/apps/${app}/webhook-events`,
    header: ["Event", "Include", "Created"],
    row: (item) => [text(item["id"]), text(item["include"]), text(item["created_at"])],
    empty: "No events.",
  });
  addShow(program, context, {
    name: "webhooks:events:info",
    arguments: ["<event>"],
    description: "show an event with its payload",
    path: (app, [event]) => `/apps/${app}/webhook-events/${event}`,
  });
}

/** The secret of the signatures is in a header, once. */
async function withSecret(answer: Response) {
  const shown = answer.headers.get("heroku-webhook-secret");
  return {
    result: {
      ...((await answer.json()) as Row),
      ...(shown === null ? {} : { secret: shown }),
    },
    printed: shown === null ? undefined : `Secret (shown once): ${shown}`,
  };
}
