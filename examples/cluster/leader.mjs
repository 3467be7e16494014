// Where the node is whose manifold acts: its control plane serves the API for all nodes.
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const aliveMs = 5_000;
const patienceMs = 20_000;

// Another node may lead by now.
const removeOwn = `if redis.call("GET", KEYS[1]) == ARGV[1] then redis.call("DEL", KEYS[1]) end`;

/** A word in Redis that ends by itself when nobody repeats it. */
export class LeaderPlace {
  #redis;
  #key;
  #address;
  #beat;

  constructor(redis, name) {
    this.#redis = redis;
    this.#key = `${name}:leader`;
  }

  async announce(address) {
    this.#address = address;
    const say = () => this.#redis.set(this.#key, address, "PX", aliveMs);
    this.#beat = setInterval(() => void say().catch(() => {}), aliveMs / 4);
    await say();
  }

  async withdraw() {
    if (this.#beat === undefined) return;
    clearInterval(this.#beat);
    this.#beat = undefined;
    await this.#redis.eval(removeOwn, 1, this.#key, this.#address).catch(() => {});
  }

  /** `host:port`, or null while there is no leader. */
  find() {
    return this.#redis.get(this.#key).catch(() => null);
  }
}

/**
 * A port that leads to the leader, whichever node it is. Connections that come while the nodes
 * change over wait for the next leader.
 */
export async function openGate({ place, host, port }) {
  const sockets = new Set();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    keep(client);
    void lead(client);
  });

  function keep(socket) {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  }

  async function lead(client) {
    for (const end = Date.now() + patienceMs; Date.now() < end && !client.destroyed; ) {
      const leader = await reach(await place.find());
      if (leader === null) {
        await sleep(100);
        continue;
      }
      client.on("close", () => leader.destroy());
      leader.on("close", () => client.destroy());
      client.pipe(leader).pipe(client);
      return;
    }
    client.destroy();
  }

  function reach(address) {
    if (address === null) return null;
    const at = address.lastIndexOf(":");
    const socket = connect({
      host: address.slice(0, at),
      port: Number(address.slice(at + 1)),
      allowHalfOpen: true,
    });
    keep(socket);
    return new Promise((resolve) => {
      socket.once("connect", () => resolve(socket));
      socket.once("close", () => resolve(null));
    });
  }

  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return {
    port: server.address().port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
