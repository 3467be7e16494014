import { type Command, InvalidArgumentError } from "commander";
import type { ApiClient } from "../client/client.ts";
import { readEvents } from "../client/events.ts";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { text } from "./listing.ts";

interface EventDocument {
  readonly action: string;
  readonly actor: { readonly email: string | null };
  readonly created_at: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly resource: string;
  readonly sequence: string;
}

const sequence = (value: string) => {
  if (!/^\d{1,15}$/.test(value)) throw new InvalidArgumentError("give the number of an event.");
  return value;
};

const count = (value: string) => {
  if (!/^[1-9]\d{0,5}$/.test(value)) throw new InvalidArgumentError("give a whole number.");
  return Number(value);
};

/** `events`: who did what, as a list or as it happens. */
export function registerEvents(program: Command, context: CommandContext): void {
  const { terminal } = context;
  withJson(withApp(program.command("events").description("show who did what to an app")))
    .option("--all", "of every app that you may see")
    .option("-t, --tail", "go on as things happen")
    .option("-r, --resource <entities>", "comma list, such as api:release,dyno")
    .option("-n, --num <count>", "how many, the newest", count, 50)
    .option("--after <sequence>", "only what came after this event", sequence)
    .action(async (_, command: Command) => {
      const options = command.optsWithGlobals();
      const client = clientOf(context, options);
      const url = new URL("/events", client.platform.url);
      if (options["all"] !== true) url.searchParams.set("app", appOf(context, options));
      if (options["resource"] !== undefined)
        url.searchParams.set("resource", String(options["resource"]));
      if (options["after"] !== undefined) url.searchParams.set("after", options["after"]);
      const show = (event: EventDocument) =>
        terminal.out(
          options["json"] ? JSON.stringify(event) : describe(event, terminal.colour.dim),
        );
      if (options["tail"] !== true) {
        const list = await newest(client, url, options["num"] as number);
        if (options["json"]) return terminal.out(JSON.stringify(list, null, 2));
        for (const event of list) show(event);
        return undefined;
      }
      const events = readEvents(url.href, {
        resume: true,
        signal: context.signal,
        authority: client.platform.authority,
        headers: { authorization: `Bearer ${client.platform.token}` },
      });
      for await (const { data } of events) show(JSON.parse(data) as EventDocument);
      return undefined;
    });
}

/** The trail is read from its beginning, page after page; only the end of it is kept. */
async function newest(client: ApiClient, url: URL, count: number): Promise<EventDocument[]> {
  let list: EventDocument[] = [];
  for (;;) {
    const answer = await client.send("GET", `${url.pathname}${url.search}`);
    list = [...list, ...((await answer.json()) as EventDocument[])].slice(-count);
    const next = answer.headers.get("last-event-id");
    if (next === null || next === url.searchParams.get("after")) return list;
    url.searchParams.set("after", next);
  }
}

function describe(event: EventDocument, dim: (text: string) => string): string {
  const { action, actor, created_at: at, data, resource, sequence: number } = event;
  const name = text(data["name"] ?? data["hostname"] ?? data["type"] ?? data["version"]);
  const state = text(data["state"] ?? data["status"]);
  const what = [resource, action, name, state].filter((part) => part !== "").join(" ");
  return `${dim(`${at} #${number}`)} ${what}${actor.email === null ? "" : ` by ${actor.email}`}`;
}
