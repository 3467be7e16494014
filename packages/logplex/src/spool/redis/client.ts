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
  /** Idempotent; commands in flight reject. */
  close(): void;
}

/** A connection of its own with the settings of the client. */
export function openLink(client: RedisClient): RedisLink {
  return "callBuffer" in client ? ioRedisLink(client) : nodeRedisLink(client);
}

function ioRedisLink(client: IoRedisClient): RedisLink {
  const copy = client.duplicate();
  const listeners = new Map<string, (message: Buffer) => void>();
  // The library connects again by itself; commands that fail for good reject.
  copy.on("error", () => undefined);
  copy.on("messageBuffer", (topic: Buffer, message: Buffer) => {
    listeners.get(topic.toString())?.(message);
  });
  return {
    command: (command, ...args) => copy.callBuffer(command, ...args),
    async subscribe(topic, listener) {
      listeners.set(topic, listener);
      await copy.subscribe(topic);
    },
    async unsubscribe(topic) {
      listeners.delete(topic);
      await copy.unsubscribe(topic);
    },
    onReady: (listener) => copy.on("ready", listener),
    close: () => copy.disconnect(),
  };
}

/** RESP type 36 is the bulk string; both majors of the library read their own option. */
const BUFFERS = { typeMapping: { 36: Buffer }, returnBuffers: true };

function nodeRedisLink(client: NodeRedisClient): RedisLink {
  const copy = client.duplicate();
  copy.on("error", () => undefined);
  let connected: Promise<unknown> | undefined;
  let closed = false;
  const open = (): Promise<unknown> => {
    connected ??= copy.connect();
    return connected;
  };
  return {
    async command(...args) {
      await open();
      return copy.sendCommand(args, BUFFERS);
    },
    async subscribe(topic, listener) {
      await open();
      await copy.subscribe(topic, listener, true);
    },
    unsubscribe: async (topic) => void (await copy.unsubscribe(topic)),
    onReady: (listener) => copy.on("ready", listener),
    close() {
      if (closed) return;
      closed = true;
      copy.destroy();
    },
  };
}
