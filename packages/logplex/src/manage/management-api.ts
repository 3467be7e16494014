import type { IncomingMessage, ServerResponse } from "node:http";
import { HISTORY_WAIT_MS, readyWithin } from "../channel/ready-within.ts";
import type { RandomBytes } from "../clock.ts";
import type { DrainInfo } from "../drain/index.ts";
import { LogplexError } from "../errors.ts";
import { serveFirehose } from "../firehose/serve-firehose.ts";
import { encodeFrame } from "../frame/encode.ts";
import { authenticate } from "../input/authorization.ts";
import { readBody } from "../input/body.ts";
import type { Ingress } from "../input/ingress.ts";
import type { Logplex } from "../logplex.ts";
import { jsonLine, messageToJson } from "../ring/ring-message.ts";
import { uuid } from "../session/sessions.ts";
import { HISTORY_UNAVAILABLE } from "../tail/notice.ts";
import { checkTokenName } from "../token/tokens.ts";
import { type Answer, fail, filterOf, notAllowed, replayRange, text } from "./answer.ts";
import type { Switches } from "./control-rods.ts";
import { methodsOf, segmentsOf } from "./routes.ts";

const BODY_LIMITS = { maxBytes: 256 * 1024, maxRatio: 100, idleMs: 15_000 };

type Json = Readonly<Record<string, unknown>>;

/** What an operator does in need: no switch of the API is in its way. */
const RODS: ReadonlySet<string> = new Set(["/v3/switches", "/v3/tails"]);

/** What the API needs besides the public methods of the router. */
export interface ManagementContext {
  readonly logplex: Logplex;
  readonly ingress: Ingress;
  readonly random: RandomBytes;
  /** Pause between signs of life of a stream. */
  readonly keepAliveMs: number;
}

/** The v3 management API (spec/logplex.md §6), for credentials with the permission `full_api`. */
export class ManagementApi {
  readonly #context: ManagementContext;

  constructor(context: ManagementContext) {
    this.#context = context;
  }

  /** Answers a request to a path below `/v3/`. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    pathname: string,
  ): Promise<void> {
    const given = request.headers["request-id"];
    const id =
      typeof given === "string" && /^[\w.-]{1,128}$/.test(given)
        ? given
        : uuid(this.#context.random(16));
    const answer = await this.#answer(request, response, pathname);
    if (answer.stream !== undefined) {
      await answer.stream({ "Request-Id": id });
      return;
    }
    const text = answer.body === undefined ? undefined : JSON.stringify(answer.body);
    response.writeHead(answer.status, {
      "Request-Id": id,
      ...(text === undefined ? {} : { "Content-Type": "application/json" }),
      ...answer.headers,
    });
    // Logs come in chunks, as from Logplex.
    if (answer.raw !== undefined) response.write(answer.raw);
    response.end(text);
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    pathname: string,
  ): Promise<Answer> {
    const { ingress } = this.#context;
    const { method = "" } = request;
    if (!ingress.switches.api && !RODS.has(pathname)) return fail(503, "api disabled");
    const segments = segmentsOf(pathname) ?? [];
    const methods = methodsOf(segments);
    // As in Logplex, a wrong method is told before wrong credentials.
    if (methods?.includes(method) === false) return notAllowed(methods.join(", "));
    const caller = authenticate(request.headers.authorization, ingress.tokens, ingress.credentials);
    if (caller?.kind !== "credential")
      return {
        ...fail(401, "unauthorized"),
        headers: { "WWW-Authenticate": "Basic realm=Logplex" },
      };
    if (!caller.permissions.has("full_api")) return fail(403, "forbidden");
    if (methods === undefined) return fail(404, "not found");
    if (method !== "GET" && !ingress.switches.apiWrites && !RODS.has(pathname))
      return fail(503, "api is read-only");
    try {
      return await this.#route(request, response, segments, caller.id);
    } catch (error) {
      if (!LogplexError.is(error)) throw error;
      return fail(error.status, error.message);
    }
  }

  /** `by` is for the audit trail. */
  async #route(
    request: IncomingMessage,
    response: ServerResponse,
    segments: readonly string[],
    by: string,
  ): Promise<Answer> {
    const [kind, id = "", part, item, action] = segments;
    switch (kind) {
      case "sessions":
        return this.#session(request);
      case "switches":
        return this.#switches(request, by);
      case "tails":
        return { status: 200, body: { ended: this.#context.logplex.killTails(by) } };
      case "firehose":
        return this.#firehose(request, response);
      default:
    }
    if (part === undefined) return this.#channel(request, id);
    if (part === "tokens") return this.#token(request, id);
    if (part === "logs") return this.#logs(request, id);
    if (item === undefined) return this.#drains(request, id);
    return action === undefined
      ? this.#drain(request, id, item)
      : this.#operate(request, id, item, action);
  }

  async #channel(request: IncomingMessage, id: string): Promise<Answer> {
    const { logplex } = this.#context;
    switch (request.method) {
      case "GET":
        return logplex.hasChannel(id)
          ? { status: 200, body: this.#describe(id) }
          : fail(404, "not found");
      case "DELETE":
        return (await logplex.deleteChannel(id)) ? { status: 204 } : fail(404, "not found");
      default: {
        const payload = await this.#payload(request);
        if ("status" in payload) return payload;
        const names = payload.value["tokens"] ?? [];
        if (
          !Array.isArray(names) ||
          !names.every((name) => typeof name === "string" && name !== "")
        )
          return fail(400, "invalid payload");
        // Before anything changes: all of it or nothing.
        for (const name of names as string[]) checkTokenName(name);
        const created = !logplex.hasChannel(id);
        logplex.channel(id);
        this.#exactTokens(id, new Set(names as string[]));
        return { status: created ? 201 : 200, body: this.#describe(id) };
      }
    }
  }

  /** Creates what is missing and revokes what is not named; the others keep their ids. */
  #exactTokens(id: string, names: ReadonlySet<string>): void {
    const { logplex, ingress } = this.#context;
    const existing = ingress.tokens.of(id);
    for (const token of existing) if (!names.has(token.name)) logplex.revokeToken(token.id);
    const kept = new Set(existing.map((token) => token.name));
    for (const name of names) if (!kept.has(name)) logplex.createToken(id, name);
  }

  #describe(id: string): Json {
    const { logplex, ingress } = this.#context;
    const tokens = Object.fromEntries(ingress.tokens.of(id).map((token) => [token.name, token.id]));
    const drains = logplex.drains(id).map((drain) => ({
      id: drain.id,
      token: drain.token,
      ...(drain.url === undefined ? {} : { url: drain.url }),
    }));
    return {
      channel: id,
      ...(Object.keys(tokens).length === 0 ? {} : { tokens }),
      ...(drains.length === 0 ? {} : { drains }),
    };
  }

  async #drains(request: IncomingMessage, id: string): Promise<Answer> {
    const { logplex } = this.#context;
    if (!logplex.hasChannel(id)) return fail(404, "not found");
    if (request.method === "GET")
      return { status: 200, body: logplex.drains(id).map((drain) => this.#condition(drain)) };
    const payload = await this.#payload(request);
    if ("status" in payload) return payload;
    const { url, ...options } = payload.value;
    if (url !== undefined && typeof url !== "string") return fail(400, "invalid payload");
    const drain = await logplex.addDrain(id, url, options);
    return {
      status: 201,
      body: {
        id: drain.id,
        token: drain.token,
        ...(drain.url === undefined ? {} : { url: drain.url }),
      },
      headers: { Location: `/v3/channels/${encodeURIComponent(id)}/drains/${drain.id}` },
    };
  }

  async #drain(request: IncomingMessage, id: string, name: string): Promise<Answer> {
    const { logplex } = this.#context;
    const drain = logplex.findDrain(name, id);
    if (drain === undefined) return fail(404, "not found");
    if (request.method === "GET") return { status: 200, body: this.#condition(drain) };
    if (request.method === "DELETE") {
      await logplex.removeDrain(drain.id);
      return { status: 204 };
    }
    const payload = await this.#payload(request);
    if ("status" in payload) return payload;
    const { url, ...options } = payload.value;
    if (typeof url !== "string") return fail(400, "invalid payload");
    const updated = await logplex.updateDrain(drain.id, {
      url,
      ...(Object.keys(options).length === 0 ? {} : { options }),
    });
    return { status: 200, body: { id: updated.id, token: updated.token, url: updated.url } };
  }

  /** A drain with its condition and its account. */
  #condition(drain: DrainInfo): Json {
    const { logplex } = this.#context;
    return {
      ...drain,
      ...(drain.url === undefined ? {} : { health: logplex.drainHealth(drain.id) }),
      ledger: logplex.ledger(drain.id),
    };
  }

  /** Dry run, preview, replay and pause of a drain (spec/logplex.md §9.7, §10.2). */
  async #operate(
    request: IncomingMessage,
    id: string,
    name: string,
    action: string,
  ): Promise<Answer> {
    const { logplex } = this.#context;
    const drain = logplex.findDrain(name, id)?.id;
    if (drain === undefined) return fail(404, "not found");
    switch (action) {
      case "test":
        return { status: 200, body: await logplex.testDrain(drain) };
      case "preview": {
        const { body, ...preview } = logplex.previewDrain(drain);
        return { status: 200, body: { ...preview, body: body.toString("utf8") } };
      }
      case "pause":
        logplex.pauseDrain(drain);
        return { status: 204 };
      case "resume":
        logplex.resumeDrain(drain);
        return { status: 204 };
      default: {
        const payload = await this.#payload(request);
        if ("status" in payload) return payload;
        const range = replayRange(payload.value);
        if (range === undefined) return fail(400, "invalid payload");
        const { done, ...ticket } = await logplex.replay(drain, range);
        // Its end shows in the ledger as `replayed`.
        void done;
        return { status: 202, body: ticket };
      }
    }
  }

  /** Switches of the operator; changes go to the audit trail under the name of the credential. */
  async #switches(request: IncomingMessage, by: string): Promise<Answer> {
    const { logplex } = this.#context;
    if (request.method === "PATCH") {
      const payload = await this.#payload(request);
      if ("status" in payload) return payload;
      const entries = Object.entries(payload.value);
      const known = (name: string): name is keyof Switches => Object.hasOwn(logplex.switches, name);
      if (!entries.every(([name, on]) => known(name) && typeof on === "boolean"))
        return fail(400, "invalid payload");
      for (const [name, on] of entries) if (known(name)) logplex.setSwitch(name, on === true, by);
    }
    return { status: 200, body: { ...logplex.switches, audit: logplex.audit.slice(-100) } };
  }

  /** Messages of all channels as they come. */
  #firehose(request: IncomingMessage, response: ServerResponse): Answer {
    const { logplex, ingress, keepAliveMs } = this.#context;
    const { searchParams } = new URL(request.url ?? "/", "http://logplex");
    const reader = logplex.firehose(filterOf(searchParams));
    return {
      status: 200,
      stream: (headers) =>
        serveFirehose(reader, request, response, { clock: ingress.clock, keepAliveMs, headers }),
    };
  }

  async #token(request: IncomingMessage, id: string): Promise<Answer> {
    const { logplex } = this.#context;
    if (!logplex.hasChannel(id)) return fail(404, "not found");
    const payload = await this.#payload(request);
    if ("status" in payload) return payload;
    const { name } = payload.value;
    if (typeof name !== "string" || name === "") return fail(400, "invalid payload");
    return { status: 200, body: { name, token: logplex.createToken(id, name) } };
  }

  async #logs(request: IncomingMessage, id: string): Promise<Answer> {
    const { logplex } = this.#context;
    if (!logplex.hasChannel(id)) return fail(404, "not found");
    const { searchParams } = new URL(request.url ?? "/", "http://logplex");
    const num = searchParams.get("num") ?? "";
    const limit = /^[1-9]\d{0,6}$/.test(num) ? Number(num) : 100;
    const channel = logplex.channel(id);
    if (!(await readyWithin(channel, this.#context.ingress.clock, HISTORY_WAIT_MS)))
      return fail(503, HISTORY_UNAVAILABLE);
    const { messages, stoppedBy } = channel.search({
      limit,
      ...filterOf(searchParams),
    });
    if (request.headers.accept?.includes("application/x-ndjson") === true)
      return {
        status: 200,
        raw: Buffer.from(messages.map((one) => `${jsonLine(messageToJson(one))}\n`).join("")),
        headers: { "Content-Type": "application/x-ndjson", "Logplex-Stopped-By": stoppedBy },
      };
    return {
      status: 200,
      raw: Buffer.concat(messages.map((one) => encodeFrame(one, { dialect: "logplex" }))),
      headers: {
        "Content-Type": "application/logplex-1",
        "Logplex-Msg-Count": String(messages.length),
        "Logplex-Stopped-By": stoppedBy,
      },
    };
  }

  async #session(request: IncomingMessage): Promise<Answer> {
    const { logplex } = this.#context;
    if (!logplex.switches.sessions) return fail(503, "sessions disabled");
    const payload = await this.#payload(request);
    if ("status" in payload) return payload;
    const { channel_id: id, num, tail, source, ps, dyno, query, sort } = payload.value;
    const name = typeof id === "number" ? String(id) : id;
    if (typeof name !== "string" || !logplex.hasChannel(name))
      return fail(422, "invalid channel_id");
    const lines = Number(num ?? 100);
    const session = logplex.createSession(name, {
      lines: Number.isInteger(lines) && lines >= 0 ? lines : 100,
      tail: tail !== undefined && tail !== false && tail !== "false",
      source: text(source),
      dyno: text(dyno) ?? text(ps),
      query: text(query),
      ...(sort === undefined ? {} : { sortMs: Number(sort) }),
    });
    const host = request.headers.host ?? "localhost";
    return {
      status: 201,
      body: { url: `http://${host}${session.path}` },
      headers: { Location: session.path },
    };
  }

  async #payload(request: IncomingMessage): Promise<{ readonly value: Json } | Answer> {
    const body = await readBody(request, BODY_LIMITS, this.#context.ingress.clock);
    if (!Buffer.isBuffer(body)) return fail(body.status, body.message);
    if (body.length === 0) return { value: {} };
    let value: unknown;
    try {
      value = JSON.parse(body.toString("utf8"));
    } catch {
      value = undefined;
    }
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return fail(400, "invalid payload");
    return { value: value as Json };
  }
}
