/** Between the request's head and the choice of a dyno: policy, challenges, buffered bodies. */

import type { AppRoute } from "../../table/app-route.ts";
import { admit } from "../admission.ts";
import { choose } from "./choice.ts";
import type { Exchange } from "./exchange.ts";

/** How long a hook may take to answer an ACME challenge. */
const CHALLENGE_MS = 5000;

/** Decides at `now` whether the request goes on, and with what. */
export function start(exchange: Exchange, now: number, challenged: boolean): void {
  try {
    exchange.phase = "policy";
    if (!admit(exchange, challenged)) return;
    const app = exchange.app as AppRoute;
    app.inFlight++;
    exchange.counted = true;
    const { timeouts } = app.settings;
    exchange.connectsUntil = exchange.startedAt + timeouts.connectTotalMs;
    if (timeouts.maxDurationMs > 0) exchange.endsAt = exchange.startedAt + timeouts.maxDurationMs;
    if (exchange.meaning?.expectContinue === true && app.settings.continue === "auto")
      sendContinue(exchange);
    if (mustBuffer(exchange)) {
      exchange.buffering = true;
      exchange.limit(timeouts.idleMs, now);
    } else choose(exchange, false, now);
  } catch (error) {
    exchange.engine.crashed(error);
    exchange.fail("H99", "exception");
  }
}

/** Waits for the answer to an ACME challenge; without one the request goes on. */
export function awaitChallenge(exchange: Exchange, answer: Promise<string | undefined>): void {
  exchange.challenged = true;
  exchange.limit(CHALLENGE_MS);
  answer.then(
    (text) => {
      if (exchange.finished || !exchange.challenged) return;
      if (text === undefined) unchallenged(exchange);
      else exchange.answerChallenge(text);
    },
    (error) => {
      if (exchange.finished || !exchange.challenged) return;
      exchange.engine.crashed(error);
      exchange.fail("H99", "exception");
    },
  );
}

/** Answers an ACME challenge (R8555 §8.3). */
export function answerChallenge(exchange: Exchange, text: string): void {
  exchange.respond(200, "Content-Type: text/plain\r\n", Buffer.from(text));
}

/** Nobody knows the challenge: the request is one like others. */
export function unchallenged(exchange: Exchange): void {
  exchange.challenged = false;
  exchange.engine.wheel.clear(exchange.client);
  exchange.start(exchange.now(), true);
}

/** Tells the client, once, to go on with its body. */
export function sendContinue(exchange: Exchange): void {
  if (exchange.continued || exchange.requestDone) return;
  exchange.continued = true;
  exchange.bytes += exchange.client.sendContinue();
}

/** Whether more of the body is to be read before a dyno is taken. */
export function mustBuffer(exchange: Exchange): boolean {
  const { bufferRequestBytes, continue: mode } = (exchange.app as AppRoute).settings;
  if (
    bufferRequestBytes === 0 ||
    exchange.requestDone ||
    exchange.retainedBytes >= bufferRequestBytes
  )
    return false;
  // A client that waits for 100 sends nothing to read before a dyno was asked.
  return exchange.meaning?.expectContinue !== true || mode === "auto";
}

/** The body is there, or as much of it as is waited for. */
export function bufferedEnough(exchange: Exchange): void {
  if (!exchange.buffering || exchange.finished) return;
  exchange.buffering = false;
  choose(exchange, false, exchange.now());
}
