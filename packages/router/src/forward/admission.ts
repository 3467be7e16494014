import type { RequestMeaning } from "../codec/request.ts";
import { FAILURES } from "../failures/codes.ts";
import type { AppRoute } from "../table/app-route.ts";
import type { AppSettings } from "../table/settings.ts";
import type { Exchange } from "./exchange.ts";
import { cookieValue } from "./fields.ts";

const CHALLENGE = "/.well-known/acme-challenge/";

/**
 * Everything that is decided before a backend is looked for, in the order of spec/router.md §18.
 *
 * @returns false when the request has been answered.
 */
export function admit(exchange: Exchange): boolean {
  const { engine, client, identity } = exchange;
  const meaning = exchange.meaning as RequestMeaning;
  const found = engine.routes.lookup(meaning.hostname);
  if (found !== undefined) exchange.app = found.app;
  if (meaning.target.startsWith(CHALLENGE) && engine.options.acmeChallenge !== null) {
    const token = meaning.target.slice(CHALLENGE.length).split("?", 1)[0] as string;
    const answer = engine.options.acmeChallenge(token, meaning.hostname);
    if (answer !== undefined) {
      exchange.respond(200, "Content-Type: text/plain\r\n", Buffer.from(answer));
      return false;
    }
  }
  if (found === undefined) {
    exchange.refuse(404, "no-such-app", "There is no app at this host.");
    return false;
  }
  const app = found.app;
  const { settings } = app;
  const { covers } = client.peer;
  if (covers !== null && !covers(meaning.hostname)) {
    exchange.fail("H32", "certificate");
    return false;
  }
  if (engine.hasHop(exchange)) {
    exchange.refuse(508, "proxy-loop", "The request went through this router too often.");
    return false;
  }
  if (found.kind === "redirect") {
    redirect(exchange, `${identity.scheme}://${found.host}${portSuffix(meaning.host)}`);
    return false;
  }
  if (settings.forceHttps && identity.scheme === "http") {
    redirect(exchange, `https://${meaning.hostname}`, 308);
    return false;
  }
  if (settings.hstsSeconds >= 0 && identity.scheme === "https")
    exchange.answerFields += `Strict-Transport-Security: max-age=${settings.hstsSeconds}\r\n`;
  if (
    settings.deny?.has(identity.clientAddress) === true ||
    (settings.allow !== null && !settings.allow.has(identity.clientAddress))
  ) {
    exchange.refuse(403, "acl", "This address may not use the app.");
    return false;
  }
  if (settings.maintenance && !bypassesMaintenance(exchange, settings)) {
    exchange.fail("H80", null);
    return false;
  }
  const state = STATE_CODES[settings.state];
  if (state !== null) {
    exchange.fail(state, null);
    return false;
  }
  const wait = engine.rate(app, identity.clientAddress);
  if (wait > 0) {
    exchange.refuse(
      429,
      "rate",
      "Too many requests from this address.",
      `Retry-After: ${wait}\r\n`,
    );
    return false;
  }
  if (meaning.length > settings.maxBodyBytes || exchange.received > settings.maxBodyBytes) {
    exchange.refuse(413, "body-too-large", "The request body is larger than this app accepts.");
    return false;
  }
  return capacity(exchange, app);
}

const STATE_CODES = Object.freeze({
  active: null,
  "quota-exhausted": "H82",
  degraded: "H83",
  blank: "H81",
} as const);

function capacity(exchange: Exchange, app: AppRoute): boolean {
  const dynos = Math.max(1, app.up.length);
  if (app.inFlight < app.settings.requestsPerDyno * dynos) return true;
  // Without a dyno the reason is that, not the backlog.
  if (app.up.length === 0 && app.bootingCount + app.sleepingCount === 0) return true;
  exchange.fail(FAILURES.H11.code, "backlog");
  return false;
}

function bypassesMaintenance(exchange: Exchange, settings: AppSettings): boolean {
  if (settings.maintenanceAllow?.has(exchange.identity.clientAddress) === true) return true;
  const secret = settings.maintenanceCookie;
  return (
    secret !== null &&
    exchange.head !== null &&
    cookieValue(exchange.head, "maintenance-bypass") === secret
  );
}

function portSuffix(host: string): string {
  return /:[0-9]+$/.exec(host)?.[0] ?? "";
}

function redirect(exchange: Exchange, origin: string, forced = 0): void {
  const { method, target } = exchange.meaning as RequestMeaning;
  const status = forced !== 0 ? forced : method === "GET" || method === "HEAD" ? 301 : 308;
  exchange.respond(status, `Location: ${origin}${target === "*" ? "/" : target}\r\n`);
}
