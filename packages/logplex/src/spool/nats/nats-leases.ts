import type { LeaseEngine } from "../shared/leases.ts";
import { type NatsLink, nameOf, tokenOf } from "./nats-link.ts";

const FREE = Buffer.alloc(0);

/**
 * Keeps leases in a stream whose messages end by themselves: the newest message of a subject names
 * its holder, and is only replaced by who names its number. An empty message is a lease given up.
 */
export function natsLeases(around: {
  readonly node: string;
  readonly link: NatsLink;
  /** Gives a lease a greater fence than all before it. */
  raiseFence(name: string): Promise<number>;
}): LeaseEngine {
  const { node, link } = around;
  const text = Buffer.from(node);
  /** Numbers of the messages that are ours, by name. */
  const numbers = new Map<string, number>();
  const subject = (name: string) => link.subject("leases", "holder", tokenOf(name));
  const nodes = (token: string) => link.subject("leases", "node", token);
  const put = async (name: string, data: Buffer, expected: number): Promise<boolean> => {
    const number = await link.publish(subject(name), data, expected);
    if (number !== undefined) numbers.set(name, number);
    return number !== undefined;
  };
  /** A call of ours whose reply was lost may have moved the number on. */
  const putOwn = async (name: string, data: Buffer): Promise<boolean> => {
    const number = numbers.get(name);
    if (number !== undefined && (await put(name, data, number))) return true;
    const last = await link.last("leases", subject(name));
    if (last === undefined || !text.equals(last.data)) return false;
    return put(name, data, last.seq);
  };
  return {
    async alive() {
      await link.publish(nodes(tokenOf(node)), FREE);
      return (await link.subjects("leases", nodes("*"))).map(nameOf);
    },
    async take(name) {
      const last = await link.last("leases", subject(name));
      const free = last === undefined || last.data.length === 0 || text.equals(last.data);
      if (!free || !(await put(name, text, last?.seq ?? 0))) return 0;
      return around.raiseFence(name);
    },
    renew: (name) => putOwn(name, text),
    async release(name) {
      await putOwn(name, FREE);
      numbers.delete(name);
    },
    async leave() {
      await link.purge("leases", nodes(tokenOf(node)));
    },
  };
}
