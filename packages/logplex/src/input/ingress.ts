import type { Channel } from "../channel/channel.ts";
import type { Clock } from "../clock.ts";
import type { Switches } from "../manage/control-rods.ts";
import type { Counters } from "../metrics/counters.ts";
import type { Credentials } from "../token/credentials.ts";
import type { Token, Tokens } from "../token/tokens.ts";
import type { Budgets } from "./budget.ts";
import type { FrameIds } from "./frame-ids.ts";
import type { Destination } from "./frame-ingest.ts";

/** What all inputs share. */
export interface Ingress {
  readonly clock: Clock;
  readonly tokens: Tokens;
  readonly credentials: Credentials;
  readonly budgets: Budgets;
  readonly frameIds: FrameIds;
  readonly counters: Counters;
  readonly switches: Readonly<Switches>;
  /** The channel of a token. */
  channel(id: string): Channel;
  /** Settles when no drain of these channels asks writers to wait; undefined: none does. */
  pressure(channels: readonly Channel[]): Promise<void> | undefined;
  /** Settles when what a channel got so far is as durable as configured; undefined: it is already. */
  durable(channels: readonly Channel[]): Promise<void> | undefined;
}

/** Where the messages of a token go. */
export function destinationOf(ingress: Ingress, token: Token): Destination {
  return { channel: ingress.channel(token.channel), token };
}

/** Finds the token in APP-NAME. */
export function resolver(ingress: Ingress): (appName: string) => Destination | undefined {
  return (appName) => {
    const token = ingress.tokens.find(appName);
    return token === undefined ? undefined : destinationOf(ingress, token);
  };
}
