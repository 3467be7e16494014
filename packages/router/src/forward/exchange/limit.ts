/** What it means in each phase that its time is over (spec/router.md §12). */

import type { AppRoute } from "../../table/app-route.ts";
import { backendLost } from "./attempt.ts";
import { choose } from "./choice.ts";
import type { Exchange } from "./exchange.ts";
import { unchallenged } from "./start.ts";

/** The limit of the phase passed. */
export function limitPassed(exchange: Exchange, now: number): void {
  if (exchange.finished) return;
  if (now >= exchange.endsAt) {
    exchange.fail(exchange.answered ? "H15" : "H12", "max-duration");
    return;
  }
  if (exchange.challenged) {
    unchallenged(exchange);
    return;
  }
  if (exchange.writeFailed && !exchange.responseDone) {
    backendLost(exchange, "reset");
    return;
  }
  if (exchange.buffering) {
    exchange.fail("H28", null);
    return;
  }
  switch (exchange.phase) {
    case "queue":
      queuePassed(exchange, now);
      return;
    case "send":
      exchange.fail(exchange.clientPaused ? "H15" : "H28", null);
      return;
    case "wait":
      exchange.fail("H12", null);
      return;
    case "relay":
      if (exchange.client.backlog > 0) exchange.fail("H28", "client does not read");
      else exchange.fail(exchange.requestDone ? "H15" : "H28", null);
      return;
    default:
      exchange.fail("H99", "limit");
  }
}

/** What was waited for says which code it is: a session's dyno, a boot, a quarantine, a slot. */
function queuePassed(exchange: Exchange, now: number): void {
  const app = exchange.app as AppRoute;
  if (exchange.stickyUntil > 0 && now >= exchange.stickyUntil) {
    exchange.stickyUntil = -1;
    choose(exchange, false, exchange.now());
  } else if (app.up.length === 0) exchange.fail("H20", null);
  else if (!app.up.every((backend) => !backend.isGood(now))) exchange.fail("H11", "queue-timeout");
  else if (now >= exchange.connectsUntil) exchange.fail("H34", null);
  else choose(exchange, true, exchange.now());
}
