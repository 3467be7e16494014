/** What of a client of the package `ioredis` is used. */
export interface IoRedisLike {
  /** Tells the two libraries apart: both have a `sendCommand`. */
  callBuffer(command: string, ...args: string[]): Promise<unknown>;
  call(command: string, ...args: string[]): Promise<unknown>;
  duplicate(): IoRedisLike;
  subscribe(...topics: string[]): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
  disconnect(): void;
}

/** What of a client of the package `redis` (or `@redis/client`) is used. */
export interface NodeRedisLike {
  sendCommand(args: string[]): Promise<unknown>;
  duplicate(): NodeRedisLike;
  connect(): Promise<unknown>;
  subscribe(topic: string, listener: (message: string) => unknown): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
  destroy(): void;
}

/** A client of Redis made by its user; it is only copied, never used or closed. */
export type RedisLike = IoRedisLike | NodeRedisLike;

/** Two connections, one for commands and one that listens; both connect again by themselves. */
export interface RedisLink {
  command(name: string, ...args: string[]): Promise<unknown>;
  /** Idempotent. */
  close(): void;
}

/** What a link tells its owner. */
export interface RedisLinkEvents {
  /** Something was published on the topic. */
  message(text: string): void;
  /** The subscription holds, for the first time or again: what was published before is missed. */
  subscribed(): void;
}

/** Opens connections with the settings of the client and listens to a topic. */
export function openRedisLink(
  client: RedisLike,
  topic: string,
  events: RedisLinkEvents,
): RedisLink {
  return !("callBuffer" in client)
    ? nodeRedis(client.duplicate(), client.duplicate(), topic, events)
    : ioRedis(client.duplicate(), client.duplicate(), topic, events);
}

/** Errors of a connection show as commands that reject. */
const ignore = (): void => {};

function ioRedis(
  commands: IoRedisLike,
  listener: IoRedisLike,
  topic: string,
  events: RedisLinkEvents,
): RedisLink {
  const subscribe = () => void listener.subscribe(topic).then(() => events.subscribed(), ignore);
  commands.on("error", ignore);
  listener.on("error", ignore);
  listener.on("message", (_topic: string, text: string) => events.message(text));
  listener.on("ready", subscribe);
  // A client that connects lazily has to be asked for something.
  listener.subscribe(topic).catch(ignore);
  return {
    command: (name, ...args) => commands.call(name, ...args),
    close() {
      commands.disconnect();
      listener.disconnect();
    },
  };
}

function nodeRedis(
  commands: NodeRedisLike,
  listener: NodeRedisLike,
  topic: string,
  events: RedisLinkEvents,
): RedisLink {
  const subscribe = () =>
    void listener.subscribe(topic, events.message).then(() => events.subscribed(), ignore);
  commands.on("error", ignore);
  listener.on("error", ignore);
  listener.on("ready", subscribe);
  const connected = commands.connect();
  connected.catch(ignore);
  listener.connect().catch(ignore);
  return {
    command: (...args) => connected.then(() => commands.sendCommand(args)),
    close() {
      for (const copy of [commands, listener])
        try {
          copy.destroy();
        } catch {
          // It was never open.
        }
    },
  };
}
