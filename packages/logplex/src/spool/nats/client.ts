/**
 * What of a connection of the package `@nats-io/transport-node` is used. It is made by its user,
 * and never closed here.
 */
export interface NatsClient {
  publish(subject: string, payload?: Uint8Array): void;
  subscribe(
    subject: string,
    options: {
      callback: (
        error: Error | null,
        message: {
          readonly subject: string;
          readonly data: Uint8Array;
          readonly headers?: { get(name: string): string };
        },
      ) => void;
    },
  ): { unsubscribe(): void };
  flush(): Promise<void>;
  isClosed(): boolean;
  status(): AsyncIterable<{ readonly type: string }>;
}
