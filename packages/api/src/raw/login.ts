import { issue } from "../auth/accounts.ts";
import { authenticatePassword, credentialsOf } from "../auth/authenticate.ts";
import { ApiError, notFound } from "../errors.ts";
import { readBody } from "../http/body.ts";
import { tooMany } from "../http/dispatch.ts";
import { equalText } from "../secrets.ts";
import type { RawCall, RawRoute } from "./raw-route.ts";

const lifeMs = 10 * 60_000;
// The CLI gives up after 60 s without a byte, and after four answers of 503.
const keepAliveMs = 15_000;
const tokenSeconds = 30 * 86_400;
const maxPending = 1000;

interface Pending {
  readonly description: string;
  readonly secret: string;
  readonly expiresAt: number;
  readonly wakers: Set<() => void>;
  token?: string;
}

/** Sign-in of the CLI through a browser: it polls while a person signs in (spec §1.4). */
export class BrowserLogin {
  readonly #pending = new Map<string, Pending>();

  readonly routes: readonly RawRoute[] = [
    {
      method: "POST",
      path: "/auth",
      summary: "Begins a sign-in through the browser.",
      types: ["application/json"],
      accepts: "application/json",
      handler: async (call) => await this.#begin(call),
    },
    {
      method: "GET",
      path: "/auth/browser/{id}",
      summary: "The page where a person signs in.",
      types: ["text/html"],
      handler: async (call) => {
        this.#find(call);
        return page(form(""));
      },
    },
    {
      method: "POST",
      path: "/auth/browser/{id}",
      summary: "Takes e-mail and password from the page.",
      types: ["text/html"],
      accepts: "application/x-www-form-urlencoded",
      handler: async (call) => await this.#signIn(call),
    },
    {
      method: "GET",
      path: "/auth/cli/{id}",
      summary: "Waits up to ten minutes for the sign-in and gives the token, once, or an error.",
      types: ["application/json"],
      handler: async (call) => await this.#poll(call),
    },
  ];

  async #begin({ platform, request, address }: RawCall): Promise<Response> {
    if (!platform.addressLimit.take(address)) throw tooMany("address");
    const body = (await readBody(request)) as { description?: unknown } | undefined;
    const now = platform.clock.now();
    for (const [id, { expiresAt }] of this.#pending) if (expiresAt < now) this.#pending.delete(id);
    if (this.#pending.size >= maxPending)
      throw new ApiError("unavailable", "Too many sign-ins wait. Try again in some minutes.");
    const id = platform.capability();
    const secret = platform.capability();
    this.#pending.set(id, {
      description:
        typeof body?.description === "string" ? body.description.slice(0, 200) : "browser sign-in",
      secret,
      expiresAt: now + lifeMs,
      wakers: new Set(),
    });
    return Response.json({
      // Both paths: the CLI puts the address that it knows in front of them.
      browser_url: `/auth/browser/${id}`,
      cli_url: `/auth/cli/${id}`,
      token: secret,
    });
  }

  #find({ platform, params }: RawCall): Pending {
    const found = this.#pending.get(params["id"] ?? "");
    if (!found || found.expiresAt < platform.clock.now()) throw notFound("sign-in");
    return found;
  }

  async #signIn(call: RawCall): Promise<Response> {
    const { platform, request, address } = call;
    const pending = this.#find(call);
    if (platform.addressLimit.remaining(address) < 1) throw tooMany("address");
    const body = (await readBody(request)) as Record<string, unknown> | undefined;
    const email = String(body?.["email"] ?? "");
    const account = await authenticatePassword(platform, email, String(body?.["password"] ?? ""));
    if (!account) {
      platform.addressLimit.take(address);
      return page(form("The e-mail or the password is wrong."), 401);
    }
    if (pending.token === undefined) {
      const issued = await platform.write(
        { id: account.id, email: account.email },
        async (unit) =>
          await issue(platform, unit, account.id, {
            description: pending.description,
            scope: ["global"],
            expiresIn: tokenSeconds,
          }),
      );
      pending.token = issued.token;
      for (const wake of pending.wakers) wake();
    }
    return page("<h1>You are signed in</h1><p>Close this page and go back to the terminal.</p>");
  }

  async #poll(call: RawCall): Promise<Response> {
    const { platform, request } = call;
    const pending = this.#find(call);
    const presented = credentialsOf(request.headers)?.token ?? "";
    if (!equalText(presented, pending.secret)) throw notFound("sign-in");
    const gone = new AbortController();
    const signal = AbortSignal.any([gone.signal, request.signal, platform.closing.signal]);
    const source = this.#answer(call, pending, signal);
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
  async *#answer(
    { platform, params }: RawCall,
    pending: Pending,
    signal: AbortSignal,
  ): AsyncGenerator<string> {
    const { clock } = platform;
    while (pending.token === undefined && !signal.aborted && clock.now() < pending.expiresAt) {
      yield " ";
      let wake = () => {};
      const news = new Promise<void>((resolve) => {
        wake = resolve;
      });
      pending.wakers.add(wake);
      const timer = clock.setTimeout(wake, Math.min(keepAliveMs, pending.expiresAt - clock.now()));
      signal.addEventListener("abort", wake);
      if (pending.token === undefined && !signal.aborted) await news;
      clock.clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      pending.wakers.delete(wake);
    }
    const { token } = pending;
    // The client may ask again; at a platform that stops it can't.
    if (token === undefined && signal.aborted) {
      yield JSON.stringify({ error: "The platform stopped. Begin again in a moment." });
      return;
    }
    const given = this.#pending.delete(params["id"] ?? "");
    yield JSON.stringify(
      token !== undefined && given
        ? { access_token: token }
        : { error: "Nobody signed in on the page in time. Begin again." },
    );
  }
}

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
