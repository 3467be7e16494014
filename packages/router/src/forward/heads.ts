import type { Fault } from "../codec/faults.ts";
import { Head } from "../codec/head.ts";
import type { HeadLeniency } from "../codec/head-limits.ts";
import { isFault, type RequestMeaning, type RequestRules, readRequest } from "../codec/request.ts";
import type { RouteTable } from "../table/route-table.ts";
import type { EngineOptions } from "./engine-options.ts";

const MAX_SPARE = 1024;

/** Parsers of heads, used again and again, and the leniencies that they read with. */
export class Heads {
  readonly responseLeniency: HeadLeniency;
  readonly #options: EngineOptions;
  readonly #routes: RouteTable;
  readonly #enforced: HeadLeniency;
  readonly #deferred: HeadLeniency;
  readonly #deferredRules: RequestRules;
  readonly #spare: Head[] = [];

  constructor(options: EngineOptions, routes: RouteTable) {
    const { rules } = options;
    this.#options = options;
    this.#routes = routes;
    this.#enforced = {
      obsFold: options.obsFold === "replace",
      highTarget: rules.compat === "heroku",
    };
    this.#deferred = { ...this.#enforced, defer: true };
    this.#deferredRules = { ...rules, strict: "report" };
    this.responseLeniency = options.strictResponse
      ? { obsFold: false }
      : { bareLf: true, obsFold: true };
  }

  /** A parser that is ready for a head; give it back with {@link release}. */
  acquire(kind: "request" | "response"): Head {
    const head = this.#spare.pop() ?? new Head();
    if (kind === "request")
      head.reset(
        kind,
        this.#options.requestLimits,
        this.#mayReport ? this.#deferred : this.#enforced,
      );
    else this.restart(head);
    return head;
  }

  /** Makes a parser ready for a response, also for the one behind an interim answer. */
  restart(head: Head): void {
    head.reset("response", this.#options.responseLimits, this.responseLeniency);
  }

  /** Takes a parser back that nobody reads any more. */
  release(head: Head): void {
    head.text = "";
    if (this.#spare.length < MAX_SPARE) this.#spare.push(head);
  }

  /** Whether some request may break soft rules; which one is known only with its app. */
  get #mayReport(): boolean {
    return this.#options.rules.strict === "report" || this.#routes.reporting > 0;
  }

  /** The meaning of a request head, or the first rule that it breaks; soft rules as its app says. */
  readRequest(head: Head): RequestMeaning | Fault {
    const { rules } = this.#options;
    const meaning = readRequest(head, this.#mayReport ? this.#deferredRules : rules);
    if (head.soft === null || isFault(meaning)) return meaning;
    const strict = this.#routes.lookup(meaning.hostname)?.app.settings.strict;
    if ((strict ?? rules.strict) === "report") return meaning;
    head.lint = null;
    return head.soft;
  }
}
