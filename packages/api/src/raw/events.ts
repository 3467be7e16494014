import { findApp } from "../auth/apps.ts";
import { authenticateToken, credentialsOf, type Identity } from "../auth/authenticate.ts";
import { allows } from "../auth/scopes.ts";
import { ApiError } from "../errors.ts";
import { type EventQuery, readEventPage } from "../events/read.ts";
import { etagOf } from "../http/respond.ts";
import { eventDocument } from "../webhooks/document.ts";
import { entityOf } from "../webhooks/entities.ts";
import { authenticateRaw } from "./authenticate-raw.ts";
import { withCookieCredentials } from "./console.ts";
import type { RawCall, RawRoute } from "./raw-route.ts";

const heartbeatMs = 15_000;
// What a follower may see is looked up again this often.
const recheckMs = 1000;
const maxFollowers = 200;
const maxFollowersPerAccount = 50;

interface Wanted extends EventQuery {
  readonly stream: boolean;
  /** The position that was asked for is one that no event has yet. */
  readonly ahead: boolean;
}

/** `api:release`, `release` and `dyno` name resources; several are parted by commas. */
function resourcesOf(url: URL): string[] | undefined {
  const names = ["resource", "entity", "type"].flatMap((name) => url.searchParams.getAll(name));
  if (names.length === 0) return undefined;
  return names.flatMap((text) => text.split(",")).map((name) => name.trim().replace(/^api:/, ""));
}

async function wantedOf(call: RawCall, identity: Identity): Promise<Wanted> {
  const { platform, request, url } = call;
  const key = url.searchParams.get("app");
  const app = key === null ? undefined : await findApp(platform.db, identity.account, key);
  if (app && !allows(identity.grant, "read", app.id))
    throw new ApiError("not-found", "Couldn't find that app.", { resource: "app" });
  const stream = /text\/event-stream/.test(request.headers.get("accept") ?? "");
  const given = request.headers.get("last-event-id")?.trim();
  const position = given ? given : url.searchParams.get("after");
  if (position !== null && !/^\d{1,15}$/.test(position))
    throw new ApiError("bad-request", `${JSON.stringify(position)} is not the number of an event.`);
  const last = await platform.events.lastSequence();
  const asked = position === null ? (stream ? last : 0) : Number(position);
  return {
    app: app?.id,
    resources: resourcesOf(url),
    after: Math.min(asked, last),
    stream,
    ahead: asked > last,
  };
}

/** Who follows, as of now; undefined when the token or the access to the app has ended. */
async function stillAllowed(call: RawCall, wanted: Wanted): Promise<Identity | undefined> {
  const { platform, request } = call;
  const token = credentialsOf(withCookieCredentials(request))?.token ?? "";
  try {
    const identity = await authenticateToken(platform, token);
    if (identity && wanted.app !== undefined)
      await findApp(platform.db, identity.account, wanted.app);
    return identity;
  } catch (error) {
    if (ApiError.is(error)) return undefined;
    throw error;
  }
}

async function* follow(
  call: RawCall,
  known: Identity,
  wanted: Wanted,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { events, clock, db } = call.platform;
  let after = wanted.after;
  let identity: Identity | undefined = known;
  let checkedAt = clock.now();
  yield "retry: 1000\n: connected\n\n";
  if (wanted.ahead)
    yield `event: reset\ndata: ${JSON.stringify({ message: "No event has this number yet: the log is another or was restored. It goes on from its end.", position: String(after) })}\n\n`;
  while (!signal.aborted) {
    let wake = () => {};
    const news = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const unsubscribe = events.onWake(wake);
    const timer = clock.setTimeout(wake, heartbeatMs);
    signal.addEventListener("abort", wake);
    try {
      if (clock.now() - checkedAt >= recheckMs) {
        identity = await stillAllowed(call, wanted);
        checkedAt = clock.now();
      }
      if (!identity) {
        yield `event: end\ndata: ${JSON.stringify({ message: "The token or the access to the app has ended." })}\n\n`;
        return;
      }
      const page = await readEventPage(db, identity, { ...wanted, after });
      for (const event of page.events)
        yield `id: ${event.sequence}\nevent: ${entityOf(event.resource)}\ndata: ${JSON.stringify(eventDocument(event))}\n\n`;
      const more = page.position > after;
      after = page.position;
      if (more) continue;
      await news;
      // A number without data: a client that comes again need not be led past what it may not see.
      yield `id: ${after}\n: keep-alive\n\n`;
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
    const { events, position } = await readEventPage(call.platform.db, identity, wanted);
    const text = JSON.stringify(events.map(eventDocument));
    return new Response(text, {
      headers: {
        "Content-Type": "application/json; charset=utf-8",
        ETag: etagOf(text),
        "Last-Event-ID": String(position),
      },
    });
  }
  const { events } = call.platform;
  const leave = events.join(identity.account.id, maxFollowers, maxFollowersPerAccount);
  if (!leave)
    throw new ApiError(
      "unavailable",
      `${maxFollowers} clients, or ${maxFollowersPerAccount} of your account, follow events already. Try later.`,
      { headers: { "Retry-After": "30" } },
    );
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, call.request.signal, call.platform.closing.signal]);
  const source = follow(call, identity, wanted, signal);
  const encoder = new TextEncoder();
  const end = () => {
    leave();
    gone.abort();
  };
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await source.next().catch((error: unknown) => {
          end();
          throw error;
        });
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
    authenticated: true,
    summary:
      "The audit trail: a list of the next 200 events, whose header Last-Event-ID says where the next list begins, or a stream when text/event-stream is asked for.",
    parameters: [
      { name: "app", in: "query", description: "Events of this app alone, by id or name." },
      {
        name: "resource",
        in: "query",
        description:
          "Names of resources such as release or dyno, parted by commas; type and entity are the same.",
      },
      { name: "after", in: "query", description: "Begin after this event." },
      {
        name: "Last-Event-ID",
        in: "header",
        description: "The same, as browsers send it when they come again.",
      },
    ],
    types: ["application/json", "text/event-stream"],
    handler: readEvents,
  },
];
