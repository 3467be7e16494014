import { findApp, listApps } from "../auth/apps.ts";
import type { Identity } from "../auth/authenticate.ts";
import { allows } from "../auth/scopes.ts";
import { ApiError } from "../errors.ts";
import type { StoredEvent } from "../events/hub.ts";
import { eventDocument } from "../webhooks/document.ts";
import { entityOf } from "../webhooks/entities.ts";
import { authenticateRaw } from "./authenticate-raw.ts";
import type { RawCall, RawRoute } from "./raw-route.ts";

const heartbeatMs = 15_000;
const maxFollowers = 200;

interface Wanted {
  readonly app: string | undefined;
  readonly resources: ReadonlySet<string> | undefined;
  readonly after: number;
  readonly stream: boolean;
}

async function wantedOf(call: RawCall, identity: Identity): Promise<Wanted> {
  const { platform, request, url } = call;
  const key = url.searchParams.get("app");
  const app = key === null ? undefined : await findApp(platform.db, identity.account, key);
  if (app && !allows(identity.grant, "read", app.id))
    throw new ApiError("not-found", "Couldn't find that app.", { resource: "app" });
  const names = url.searchParams.get("resource");
  const stream = /text\/event-stream/.test(request.headers.get("accept") ?? "");
  const position = request.headers.get("last-event-id") ?? url.searchParams.get("after");
  if (position !== null && !/^\d{1,15}$/.test(position))
    throw new ApiError("bad-request", `${JSON.stringify(position)} is not the number of an event.`);
  return {
    app: app?.id,
    resources: names === null ? undefined : new Set(names.split(",")),
    after:
      position === null ? (stream ? await platform.events.lastSequence() : 0) : Number(position),
    stream,
  };
}

/** What of a page an account may see: its apps, and what it did itself. */
async function visible(
  call: RawCall,
  { account, grant }: Identity,
  wanted: Wanted,
  page: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  const apps =
    account.admin === 1 && allows(grant, "read")
      ? undefined
      : new Set((await listApps(call.platform.db, account, grant, false)).map(({ id }) => id));
  return page.filter((event) => {
    const named =
      !wanted.resources ||
      wanted.resources.has(event.resource) ||
      wanted.resources.has(entityOf(event.resource));
    if (!named) return false;
    if (!apps || event.app_id === wanted.app) return true;
    return event.app_id === null
      ? event.actor_id === account.id && allows(grant, "read")
      : apps.has(event.app_id);
  });
}

async function* follow(
  call: RawCall,
  identity: Identity,
  wanted: Wanted,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { events, clock } = call.platform;
  const filter = wanted.app === undefined ? {} : { app: wanted.app };
  let after = wanted.after;
  yield ": connected\n\n";
  while (!signal.aborted) {
    let wake = () => {};
    const news = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const unsubscribe = events.onWake(wake);
    const timer = clock.setTimeout(wake, heartbeatMs);
    signal.addEventListener("abort", wake);
    try {
      const page = await events.after(after, filter);
      for (const event of await visible(call, identity, wanted, page))
        yield `id: ${event.sequence}\nevent: ${entityOf(event.resource)}\ndata: ${JSON.stringify(eventDocument(event))}\n\n`;
      after = page.at(-1)?.sequence ?? after;
      if (page.length > 0) continue;
      await news;
      yield ": keep-alive\n\n";
    } finally {
      unsubscribe();
      clock.clearTimeout(timer);
      signal.removeEventListener("abort", wake);
    }
  }
}

async function readEvents(call: RawCall): Promise<Response> {
  const identity = await authenticateRaw(call, "read");
  const wanted = await wantedOf(call, identity);
  if (!wanted.stream) {
    const filter = wanted.app === undefined ? {} : { app: wanted.app };
    const page = await call.platform.events.after(wanted.after, filter);
    const next = page.at(-1)?.sequence;
    return Response.json((await visible(call, identity, wanted, page)).map(eventDocument), {
      headers: next === undefined ? {} : { "Last-Event-ID": String(next) },
    });
  }
  const { events } = call.platform;
  if (events.followers >= maxFollowers)
    throw new ApiError("unavailable", `${maxFollowers} clients follow events already. Try later.`);
  events.followers++;
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, call.request.signal, call.platform.closing.signal]);
  const source = follow(call, identity, wanted, signal);
  const encoder = new TextEncoder();
  let open = true;
  const end = () => {
    if (open) events.followers--;
    open = false;
    gone.abort();
  };
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await source.next();
        if (!done) return controller.enqueue(encoder.encode(value));
        end();
        controller.close();
      },
      async cancel() {
        end();
        await source.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, {
    headers: {
      "Content-Type": "text/event-stream",
      "Cache-Control": "no-cache, no-store",
      "X-Accel-Buffering": "no",
    },
  });
}

export const eventRoutes: readonly RawRoute[] = [
  {
    method: "GET",
    path: "/events",
    summary:
      "The audit trail from ?after= or Last-Event-ID on, filtered by ?app= and ?resource=: a list of 200, or a stream when text/event-stream is asked for.",
    types: ["application/json", "text/event-stream"],
    handler: readEvents,
  },
];
