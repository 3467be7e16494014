type Argument = string | Buffer;

/** What of a client of the package `ioredis` is used. */
export interface IoRedisClient {
  callBuffer(command: string, ...args: Argument[]): Promise<unknown>;
  duplicate(): IoRedisClient;
  subscribe(...topics: string[]): Promise<unknown>;
  unsubscribe(...topics: string[]): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
  disconnect(): void;
}

/** What of a client of the package `redis` (or `@redis/client`) is used. */
export interface NodeRedisClient {
  sendCommand(args: Argument[], options?: object): Promise<unknown>;
  duplicate(): NodeRedisClient;
  connect(): Promise<unknown>;
  subscribe(
    topic: string,
    listener: (message: Buffer, topic: Buffer) => unknown,
    bufferMode: true,
  ): Promise<unknown>;
  unsubscribe(topic: string): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
  destroy(): void;
}

/** A client of Redis made by its user; it is only copied, never used or closed. */
export type RedisClient = IoRedisClient | NodeRedisClient;

/** One connection of a buffer, whatever the library. */
export interface RedisLink {
  /** Sends one command; texts of replies are buffers. */
  command(command: string, ...args: Argument[]): Promise<unknown>;
  subscribe(topic: string, listener: (message: Buffer) => void): Promise<void>;
  unsubscribe(topic: string): Promise<void>;
  /** Called after every connect, the first one included. */
  onReady(listener: () => void): void;
  /** Called when the connection is lost. */
  onLost(listener: () => void): void;
  /** Idempotent; commands in flight reject. */
  close(): void;
}

/** A connection of its own with the settings of the client. */
export function openLink(client: RedisClient): RedisLink {
  return "callBuffer" in client ? ioRedisLink(client) : nodeRedisLink(client);
}

/** Ends what waits when a link is closed: a client that never got through does not. */
class Pending {
  readonly #rejections = new Set<(error: Error) => void>();
  #ended = false;

  guard<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#ended) reject(new Error("The connection was closed."));
      else this.#rejections.add(reject);
      const done = (): boolean => this.#rejections.delete(reject);
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

  end(): void {
    this.#ended = true;
    for (const reject of this.#rejections) reject(new Error("The connection was closed."));
    this.#rejections.clear();
  }
}

function ioRedisLink(client: IoRedisClient): RedisLink {
  const copy = client.duplicate();
  const pending = new Pending();
  let closed = false;
  const listeners = new Map<string, (message: Buffer) => void>();
  // The library connects again by itself; commands that fail for good reject.
  copy.on("error", () => undefined);
  copy.on("messageBuffer", (topic: Buffer, message: Buffer) => {
    listeners.get(topic.toString())?.(message);
  });
  return {
    command: (command, ...args) => pending.guard(copy.callBuffer(command, ...args)),
    async subscribe(topic, listener) {
      listeners.set(topic, listener);
      await pending.guard(copy.subscribe(topic));
    },
    async unsubscribe(topic) {
      listeners.delete(topic);
      await pending.guard(copy.unsubscribe(topic));
    },
    onReady: (listener) => copy.on("ready", listener),
    onLost: (listener) => copy.on("close", listener),
    close() {
      if (closed) return;
      closed = true;
      copy.disconnect();
      pending.end();
    },
  };
}

/** RESP type 36 is the bulk string; both majors of the library read their own option. */
const BUFFERS = { typeMapping: { 36: Buffer }, returnBuffers: true };

function nodeRedisLink(client: NodeRedisClient): RedisLink {
  const copy = client.duplicate();
  copy.on("error", () => undefined);
  const pending = new Pending();
  let connected: Promise<unknown> | undefined;
  let closed = false;
  const open = (): Promise<unknown> => {
    connected ??= copy.connect();
    return connected;
  };
  return {
    command: (...args) => pending.guard(open().then(() => copy.sendCommand(args, BUFFERS))),
    async subscribe(topic, listener) {
      await pending.guard(open().then(() => copy.subscribe(topic, listener, true)));
    },
    unsubscribe: async (topic) => void (await pending.guard(copy.unsubscribe(topic))),
    onReady: (listener) => copy.on("ready", listener),
    onLost(listener) {
      copy.on("error", listener);
      copy.on("end", listener);
    },
    close() {
      if (closed) return;
      closed = true;
      try {
        copy.destroy();
      } catch {
        // It was never open.
      }
      pending.end();
    },
  };
}
