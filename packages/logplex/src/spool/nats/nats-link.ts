import type { JetStreamClient, JetStreamManager, StreamConfig } from "@nats-io/jetstream";
import { LogplexError } from "../../errors.ts";
import { LEASE } from "../shared/leases.ts";
import type { NatsClient } from "./client.ts";

/** Streams of one buffer. */
export type Stream = "log" | "state" | "leases" | "frames";

/** A message that a stream keeps. */
export interface Kept {
  /** Its number in the stream. */
  readonly seq: number;
  readonly data: Uint8Array;
}

/** How long the number of a batch is remembered by the server, ms. */
const DUPLICATES_MS = 120_000;
/** How long a frame id is remembered at most (spec/logplex.md §4.2), ms. */
const FRAMES_MS = 600_000;

const CODE = Object.freeze({
  wrongLastSequence: 10_071,
  wrongLastSequenceUnknown: 10_164,
  noMessage: 10_037,
  noStream: 10_059,
});

function codeOf(error: unknown): number {
  const code = error instanceof Error && "code" in error ? error.code : 0;
  return typeof code === "number" ? code : 0;
}

/** A name as one token of a subject. */
export function tokenOf(name: string): string {
  return Buffer.from(name).toString("base64url");
}

/** The name of the last token of a subject. */
export function nameOf(subject: string): string {
  return Buffer.from(subject.slice(subject.lastIndexOf(".") + 1), "base64url").toString();
}

/**
 * JetStream as one buffer uses it. A stream that is missing is made, at first and after the server
 * lost it. While the connection is down all calls reject at once, so that the client queues nothing.
 */
export class NatsLink {
  readonly #client: NatsClient;
  readonly #prefix: string;
  readonly #replicas: number;
  readonly #timeoutMs: number;
  readonly #onBack: () => void;
  #js: JetStreamClient | undefined;
  #manager: JetStreamManager | undefined;
  #opening: Promise<void> | undefined;
  #opened = false;
  /** Calls without a reply yet. */
  readonly #waiting = new Set<() => void>();
  #connected = true;
  readonly #status: AsyncIterable<{ readonly type: string }>;
  #closed = false;
  /** Whether the last call was answered. */
  reachable = false;

  constructor(options: {
    readonly client: NatsClient;
    readonly prefix: string;
    readonly replicas: number;
    readonly timeoutMs: number;
    /** Called when the server is there again, so that what came meanwhile can be fetched. */
    readonly onBack: () => void;
  }) {
    this.#client = options.client;
    this.#prefix = options.prefix;
    this.#replicas = options.replicas;
    this.#timeoutMs = options.timeoutMs;
    this.#onBack = options.onBack;
    this.#status = options.client.status();
    void this.#watch();
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.#status) {
      if (type === "disconnect" || type === "close") {
        this.#connected = false;
        this.reachable = false;
        // The client lets what waits for a reply wait on.
        for (const giveUp of this.#waiting) giveUp();
      } else if (type === "reconnect") {
        this.#connected = true;
        // The server may have come back without its streams.
        this.#opening = undefined;
        this.#onBack();
      }
    }
  }

  /** Makes the streams that are missing. Rejects with `conflict` when one is not ours. */
  open(): Promise<void> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<void> {
    try {
      if (this.#manager === undefined) {
        const library = await load();
        // The structural type names what is used here; the library wants the whole connection.
        const client = this.#client as never;
        const options = { timeout: this.#timeoutMs };
        this.#js = library.jetstream(client, options);
        this.#manager = await library.jetstreamManager(client, { ...options, checkAPI: false });
      }
      let made = false;
      for (const config of this.#configs()) if (await this.#ensure(config)) made = true;
      if (made && this.#opened) this.#onBack();
      this.#opened = true;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  #configs(): (Partial<StreamConfig> & { readonly name: string })[] {
    const nanos = (ms: number) => ms * 1_000_000;
    const common = {
      storage: "file" as const,
      num_replicas: this.#replicas,
      // A replica that lags behind must not answer.
      allow_direct: this.#replicas === 1,
    };
    const of = (stream: Stream) => ({
      name: this.#stream(stream),
      subjects: [`${this.#prefix}.${stream}.>`],
    });
    return [
      {
        ...common,
        ...of("log"),
        duplicate_window: nanos(DUPLICATES_MS),
        // Whoever follows hears of stored batches only, in their order.
        republish: { src: `${this.#prefix}.log.>`, dest: `${this.#prefix}.new.>` },
      },
      { ...common, ...of("state"), max_msgs_per_subject: 1 },
      {
        ...common,
        ...of("leases"),
        max_msgs_per_subject: 1,
        max_age: nanos(LEASE.ttlMs),
        duplicate_window: nanos(LEASE.ttlMs),
      },
      { ...common, ...of("frames"), max_msgs_per_subject: 1, max_age: nanos(FRAMES_MS) },
    ];
  }

  /** Returns whether it had to be made. */
  async #ensure(config: Partial<StreamConfig> & { readonly name: string }): Promise<boolean> {
    const { streams } = this.#manager!;
    try {
      const { config: found } = await streams.info(config.name);
      const same =
        found.republish?.dest === config.republish?.dest &&
        found.subjects.join() === config.subjects?.join();
      if (same) return false;
      throw new LogplexError(
        "conflict",
        `The stream ${config.name} exists and is not one of this buffer's; choose another prefix.`,
      );
    } catch (error) {
      if (codeOf(error) !== CODE.noStream) throw error;
      await streams.add(config);
      return true;
    }
  }

  #stream(stream: Stream): string {
    return `${this.#prefix}-${stream}`;
  }

  /** The subject of a name within a stream, or of what is said without being kept. */
  subject(stream: Stream | "new" | "tell", ...tokens: string[]): string {
    return [this.#prefix, stream, ...tokens].join(".");
  }

  async #call<T>(work: (manager: JetStreamManager, js: JetStreamClient) => Promise<T>): Promise<T> {
    if (!this.#connected || this.#closed || this.#client.isClosed())
      throw new LogplexError("unavailable", "NATS can't be reached; check its connection.");
    try {
      const result = await this.#whileConnected(
        this.open().then(() => work(this.#manager!, this.#js!)),
      );
      this.reachable = this.#connected;
      return result;
    } catch (error) {
      const code = codeOf(error);
      if (code === 0 || code === CODE.noStream || code === 503) {
        // No answer: the server is gone, or the stream is.
        this.reachable = false;
        this.#opening = undefined;
      }
      if (LogplexError.is(error)) throw error;
      throw new LogplexError("unavailable", "NATS did not take a call; check its JetStream.", {
        cause: error,
      });
    }
  }

  #whileConnected<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => reject(new Error("The connection was lost."));
      this.#waiting.add(giveUp);
      const done = (): boolean => this.#waiting.delete(giveUp);
      work.then(
        (value) => {
          done();
          resolve(value);
        },
        (error: unknown) => {
          done();
          reject(error);
        },
      );
    });
  }

  /**
   * Keeps a message if the newest one of the subject has the number `expected`. Returns its own
   * number; undefined: it has not. `id` makes a repeat harmless.
   */
  publish(
    subject: string,
    data: Uint8Array,
    expected?: number,
    id?: string,
  ): Promise<number | undefined> {
    return this.#call(async (_, js) => {
      try {
        const { seq } = await js.publish(subject, data, {
          timeout: this.#timeoutMs,
          ...(id === undefined ? {} : { msgID: id }),
          ...(expected === undefined ? {} : { expect: { lastSubjectSequence: expected } }),
        });
        return seq;
      } catch (error) {
        const code = codeOf(error);
        if (code === CODE.wrongLastSequence || code === CODE.wrongLastSequenceUnknown)
          return undefined;
        throw error;
      }
    });
  }

  /** The newest message of a subject. */
  last(stream: Stream, subject: string): Promise<Kept | undefined> {
    return this.#get(stream, { last_by_subj: subject });
  }

  /** The first message of a subject from a number on. */
  next(stream: Stream, subject: string, from: number): Promise<Kept | undefined> {
    return this.#get(stream, { seq: Math.max(1, from), next_by_subj: subject });
  }

  #get(
    stream: Stream,
    query: { last_by_subj: string } | { seq: number; next_by_subj: string },
  ): Promise<Kept | undefined> {
    return this.#call(async ({ direct, streams }) => {
      const name = this.#stream(stream);
      try {
        const found =
          this.#replicas === 1
            ? await direct.getMessage(name, query as never)
            : await streams.getMessage(name, query as never);
        return found === null ? undefined : { seq: found.seq, data: found.data };
      } catch (error) {
        if (codeOf(error) === CODE.noMessage) return undefined;
        throw error;
      }
    });
  }

  /** Removes the messages of a subject, or those before a number. Returns how many. */
  purge(stream: Stream, subject: string, before?: number): Promise<number> {
    return this.#call(async ({ streams }) => {
      const { purged } = await streams.purge(this.#stream(stream), {
        filter: subject,
        ...(before === undefined ? {} : { seq: before }),
      });
      return purged;
    });
  }

  /** Subjects of a stream that have messages. */
  subjects(stream: Stream, filter: string): Promise<string[]> {
    return this.#call(async ({ streams }) => {
      const { state } = await streams.info(this.#stream(stream), { subjects_filter: filter });
      return Object.keys(state.subjects ?? {});
    });
  }

  /** Number of the newest message of a stream. */
  lastSeq(stream: Stream): Promise<number> {
    return this.#call(
      async ({ streams }) => (await streams.info(this.#stream(stream))).state.last_seq,
    );
  }

  /** Hears what is said on a subject, once the server knows of it. Returns how to stop. */
  async listen(
    subject: string,
    take: (data: Uint8Array, seq: number) => void,
  ): Promise<() => void> {
    const subscription = this.#client.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) take(message.data, Number(message.headers?.get("Nats-Sequence") ?? 0));
      },
    });
    // Anything asked after this finds the subscription in place.
    const stop = (): void => {
      // A connection that its user has closed has no subscriptions left.
      if (!this.#client.isClosed()) subscription.unsubscribe();
    };
    try {
      await this.#call(() => this.#client.flush());
    } catch (error) {
      stop();
      throw error;
    }
    return stop;
  }

  /** Says something to all who listen now. */
  tell(subject: string, text: string): void {
    if (this.#connected && !this.#client.isClosed())
      this.#client.publish(subject, Buffer.from(text));
  }

  /** Leaves the connection alone from now on. Idempotent. */
  close(): void {
    this.#closed = true;
    this.reachable = false;
    for (const giveUp of this.#waiting) giveUp();
    // The client's iterators have it besides what their type says.
    (this.#status as { stop?: () => void }).stop?.();
  }
}

async function load(): Promise<typeof import("@nats-io/jetstream")> {
  try {
    return await import("@nats-io/jetstream");
  } catch (cause) {
    throw new LogplexError(
      "bad-request",
      'natsBuffer needs the package "@nats-io/jetstream"; install it beside @dynokit/logplex.',
      { cause },
    );
  }
}
