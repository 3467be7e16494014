import { issue } from "../auth/accounts.ts";
import { authenticatePassword, credentialsOf } from "../auth/authenticate.ts";
import { isoTime } from "../clock.ts";
import { ApiError, notFound } from "../errors.ts";
import { readBody } from "../http/body.ts";
import { tooMany } from "../http/dispatch.ts";
import { equalText, sha256 } from "../secrets.ts";
import type { LoginRow } from "../store/tables.ts";
import type { RawCall, RawRoute } from "./raw-route.ts";

const lifeMs = 10 * 60_000;
// The CLI gives up after 60 s without a byte, and after four answers of 503.
const keepAliveMs = 15_000;
const tokenSeconds = 30 * 86_400;
const maxPending = 1000;

/** What a token is sealed with while it waits for the CLI. */
const sealOf = (login: LoginRow) => `login:${login.id}`;

async function begin({ platform, request, address }: RawCall): Promise<Response> {
  if (!platform.addressLimit.take(address)) throw tooMany("address");
  const body = (await readBody(request)) as { description?: unknown } | undefined;
  const id = platform.capability();
  const secret = platform.capability();
  await platform.store.write(async (tx) => {
    const now = platform.now();
    await tx.deleteFrom("logins").where("expires_at", "<", now).execute();
    const { waiting } = await tx
      .selectFrom("logins")
      .select((expression) => expression.fn.countAll().as("waiting"))
      .executeTakeFirstOrThrow();
    if (Number(waiting) >= maxPending)
      throw new ApiError("unavailable", "Too many sign-ins wait. Try again in some minutes.");
    await tx
      .insertInto("logins")
      .values({
        id: sha256(id),
        secret_hash: sha256(secret),
        description:
          typeof body?.description === "string"
            ? body.description.replaceAll("\0", "").slice(0, 200)
            : "browser sign-in",
        sealed_token: null,
        expires_at: isoTime(platform.clock.now() + lifeMs),
        created_at: now,
      })
      .execute();
  });
  return Response.json({
    // Both paths: the CLI puts the address that it knows in front of them.
    browser_url: `/auth/browser/${id}`,
    cli_url: `/auth/cli/${id}`,
    token: secret,
  });
}

async function find({ platform, params }: RawCall): Promise<LoginRow> {
  const row = await platform.db
    .selectFrom("logins")
    .selectAll()
    .where("id", "=", sha256(params["id"] ?? ""))
    .executeTakeFirst();
  if (!row || row.expires_at < platform.now()) throw notFound("sign-in");
  return row;
}

async function signIn(call: RawCall): Promise<Response> {
  const { platform, request, address } = call;
  const login = await find(call);
  if (platform.addressLimit.remaining(address) < 1) throw tooMany("address");
  const body = (await readBody(request)) as Record<string, unknown> | undefined;
  const email = String(body?.["email"] ?? "").replaceAll("\0", "");
  const account = await authenticatePassword(platform, email, String(body?.["password"] ?? ""));
  if (!account) {
    platform.addressLimit.take(address);
    return page(form("The e-mail or the password is wrong."), 401);
  }
  await platform.write({ id: account.id, email: account.email }, async (unit) => {
    const open = await unit.tx
      .selectFrom("logins")
      .select("id")
      .where("id", "=", login.id)
      .where("sealed_token", "is", null)
      .executeTakeFirst();
    // The page may be sent twice; the first token is the one that the CLI gets.
    if (!open) return;
    const { token } = await issue(platform, unit, account.id, {
      description: login.description,
      scope: ["global"],
      expiresIn: tokenSeconds,
    });
    await unit.tx
      .updateTable("logins")
      .set({ sealed_token: platform.secrets.seal(token, sealOf(login)) })
      .where("id", "=", login.id)
      .execute();
  });
  return page("<h1>You are signed in</h1><p>Close this page and go back to the terminal.</p>");
}

async function poll(call: RawCall): Promise<Response> {
  const { platform, request } = call;
  const login = await find(call);
  const presented = credentialsOf(request.headers)?.token ?? "";
  if (!equalText(sha256(presented), login.secret_hash)) throw notFound("sign-in");
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, request.signal, platform.closing.signal]);
  const source = waitFor(call, login, signal);
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await source.next();
        if (done) controller.close();
        else controller.enqueue(Buffer.from(value));
      },
      async cancel() {
        gone.abort();
        await source.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, {
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
  });
}

/** JSON with spaces before it, which keep the connection alive while a person signs in. */
async function* waitFor(
  { platform }: RawCall,
  login: LoginRow,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { clock, events } = platform;
  const expires = Date.parse(login.expires_at);
  while (!signal.aborted && clock.now() < expires) {
    yield " ";
    let wake = () => {};
    const news = new Promise<void>((resolve) => {
      wake = resolve;
    });
    // A sign-in is an event, which also other processes on the store are woken by.
    const unsubscribe = events.onWake(wake);
    const timer = clock.setTimeout(wake, Math.min(keepAliveMs, expires - clock.now()));
    signal.addEventListener("abort", wake);
    try {
      const token = await take(platform, login);
      if (token !== undefined) {
        yield JSON.stringify({ access_token: token });
        return;
      }
      if (!signal.aborted) await news;
    } finally {
      unsubscribe();
      clock.clearTimeout(timer);
      signal.removeEventListener("abort", wake);
    }
  }
  // The client may ask again; at a platform that stops it can't.
  const error = signal.aborted
    ? "The platform stopped. Begin again in a moment."
    : "Nobody signed in on the page in time. Begin again.";
  yield JSON.stringify({ error });
}

/** The token of a sign-in, to the one that asks first. */
async function take(platform: RawCall["platform"], login: LoginRow): Promise<string | undefined> {
  const ready = await platform.db
    .selectFrom("logins")
    .select("sealed_token")
    .where("id", "=", login.id)
    .executeTakeFirst();
  const sealed = ready?.sealed_token;
  if (!sealed) return undefined;
  const { numDeletedRows } = await platform.db
    .deleteFrom("logins")
    .where("id", "=", login.id)
    .executeTakeFirst();
  return numDeletedRows > 0n ? platform.secrets.open(sealed, sealOf(login)) : undefined;
}

/**
 * Sign-in of the CLI through a browser: it waits while a person signs in (spec §1.4). What waits
 * is in the store, so browser and CLI may reach different processes, or one after its restart.
 */
export const loginRoutes: readonly RawRoute[] = [
  {
    method: "POST",
    path: "/auth",
    summary: "Begins a sign-in through the browser.",
    types: ["application/json"],
    accepts: "application/json",
    handler: begin,
  },
  {
    method: "GET",
    path: "/auth/browser/{id}",
    summary: "The page where a person signs in.",
    types: ["text/html"],
    handler: async (call) => {
      await find(call);
      return page(form(""));
    },
  },
  {
    method: "POST",
    path: "/auth/browser/{id}",
    summary: "Takes e-mail and password from the page.",
    types: ["text/html"],
    accepts: "application/x-www-form-urlencoded",
    handler: signIn,
  },
  {
    method: "GET",
    path: "/auth/cli/{id}",
    summary: "Waits up to ten minutes for the sign-in and gives the token, once, or an error.",
    types: ["application/json"],
    handler: poll,
  },
];

function form(problem: string): string {
  return `<h1>Sign in</h1>${problem === "" ? "" : `<p role="alert">${problem}</p>`}
<form method="post"><p><label>E-mail <input name="email" type="email" autocomplete="username" required autofocus></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button>Sign in</button></p></form>`;
}

function page(body: string, status = 200): Response {
  return new Response(
    `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign in</title><body>${body}</body></html>`,
    {
      status,
      headers: {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy":
          "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
      },
    },
  );
}
