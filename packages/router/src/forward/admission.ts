import { createHash } from "node:crypto";
import { F } from "../codec/field-names.ts";
import type { Head } from "../codec/head.ts";
import type { RequestMeaning } from "../codec/request.ts";
import type { AddressSet } from "../table/address-set.ts";
import type { AppRoute } from "../table/app-route.ts";
import type { AppSettings } from "../table/settings.ts";
import type { Exchange } from "./exchange/exchange.ts";
import { cookieValue } from "./fields.ts";

/** Times that a request may come through this router. */
const MAX_OWN_HOPS = 5;
const CHALLENGE = "/.well-known/acme-challenge/";

/**
 * Everything that is decided before a backend is looked for, in the order of spec/router.md §18.
 * With `challenged` no ACME challenge is looked for, since that was done.
 *
 * @returns false when the request has been answered, or waits.
 */
export function admit(exchange: Exchange, challenged: boolean): boolean {
  const { engine, client, identity } = exchange;
  const meaning = exchange.meaning as RequestMeaning;
  const { hostname } = meaning;
  const found = engine.routes.lookup(hostname);
  if (found !== undefined) exchange.app = found.app;
  const { acmeChallenge } = engine.options;
  if (acmeChallenge !== null && !challenged && meaning.target.startsWith(CHALLENGE)) {
    const token = meaning.target.slice(CHALLENGE.length).split("?", 1)[0] as string;
    const answer = acmeChallenge(token, hostname);
    if (typeof answer === "object") {
      exchange.awaitChallenge(answer);
      return false;
    }
    if (answer !== undefined) {
      exchange.answerChallenge(answer);
      return false;
    }
  }
  if (!mayEnter(exchange, engine.options)) return false;
  const { covers, serves } = client.peer;
  const served = serves === null ? "pattern" : serves(hostname);
  if (found === undefined) {
    // A listener that was given this very name promises an app which is not there.
    if (served === "name") exchange.fail("H23", "no-app");
    else exchange.refuse(404, "no-such-app", "There is no app at this host.");
    return false;
  }
  const app = found.app;
  const { settings } = app;
  if (served === null) {
    exchange.fail("H31", "endpoint");
    return false;
  }
  if (covers !== null && !covers(hostname)) {
    exchange.fail("H32", "certificate");
    return false;
  }
  if (loops(exchange)) {
    if (engine.options.refuseLoops) {
      exchange.refuse(508, "proxy-loop", "The request went through this router too often.");
      return false;
    }
    exchange.lint ??= "proxy-loop";
  }
  if (found.kind === "redirect") {
    redirect(exchange, `${identity.scheme}://${found.host}${portSuffix(meaning.host)}`);
    return false;
  }
  if (settings.forceHttps && identity.scheme === "http") {
    redirect(exchange, `https://${hostname}`, 308);
    return false;
  }
  if (settings.hstsSeconds >= 0 && identity.scheme === "https")
    exchange.answerFields += `Strict-Transport-Security: max-age=${settings.hstsSeconds}\r\n`;
  if (!mayEnter(exchange, settings)) return false;
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

/** Whether the request came through this router too often. */
function loops(exchange: Exchange): boolean {
  const head = exchange.head as Head;
  const first = head.first[F.via] as number;
  if (first < 0) return false;
  const { via } = exchange.engine.options;
  let hops = 0;
  for (let i = first; i < head.count; i++)
    if (head.id(i) === F.via)
      for (const hop of head.value(i).split(",")) if (hop.trim().split(/\s+/)[1] === via) hops++;
  return hops > MAX_OWN_HOPS;
}

function capacity(exchange: Exchange, app: AppRoute): boolean {
  // Without a dyno the reason is that, not the backlog.
  if (app.up.length === 0 && app.bootingCount + app.sleepingCount === 0) return true;
  const dynos = Math.max(1, app.up.length);
  if (app.inFlight >= app.settings.requestsPerDyno * dynos) {
    exchange.fail("H11", "backlog");
    return false;
  }
  if (exchange.client.peer.overLimit || !exchange.client.place.take(app)) {
    exchange.fail("H22", exchange.client.peer.overLimit ? "listener" : "app");
    return false;
  }
  return true;
}

/** Access rules: 403 for an address that is denied, or not allowed where only some are. */
function mayEnter(
  exchange: Exchange,
  rules: { readonly allow: AddressSet | null; readonly deny: AddressSet | null },
): boolean {
  const { clientAddress } = exchange.identity;
  const denied = rules.deny?.match(clientAddress);
  if (denied === undefined && (rules.allow === null || rules.allow.has(clientAddress))) return true;
  // The log says which rule it was without telling addresses of others.
  exchange.rule = createHash("sha256")
    .update(denied ?? "allow")
    .digest("hex")
    .slice(0, 8);
  exchange.refuse(403, "acl", "This address may not use the app.");
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
