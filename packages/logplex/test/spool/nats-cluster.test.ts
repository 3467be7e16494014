import { jetstreamManager } from "@nats-io/jetstream";
import { expect, it } from "vitest";
import { until } from "../drain/receiver.ts";
import { connectNats, describeNats } from "../support/nats.ts";
import { startNatsCluster } from "../support/nats-server.ts";
import { natsRouters } from "./nats-setup.ts";
import { seen, write } from "./shared-setup.ts";

describeNats("a buffer on a NATS cluster of three servers", () => {
  it("keeps what it confirmed, in one order, when the server that leads is killed", async () => {
    const cluster = await startNatsCluster(3);
    const probe = await connectNats(cluster.url);
    const manager = await jetstreamManager(probe, { checkAPI: false });
    // The servers agree on a leader first.
    const formed = async () =>
      manager.getAccountInfo().then(
        () => true,
        () => false,
      );
    while (!(await formed()));
    const routers = await natsRouters(cluster.url);
    try {
      const options = { replicas: 3, ackTimeoutMs: 40_000 };
      const one = await routers.startAt(cluster.url, options);
      const two = await routers.startAt(cluster.url, options);
      for (let turn = 0; turn < 20; turn += 1) await write(turn % 2 === 0 ? one : two, `${turn}`);
      const { cluster: state } = await manager.streams.info(`${routers.place.prefix}-log`);
      await cluster.kill(state!.leader!);
      for (let turn = 20; turn < 40; turn += 1) await write(turn % 2 === 0 ? one : two, `${turn}`);
      await until(() => [one, two].every((logplex) => seen(logplex).length === 40));
      expect(seen(one)).toEqual(Array.from({ length: 40 }, (_, turn) => `${turn + 1} ${turn}`));
      expect(seen(two)).toEqual(seen(one));
      expect(seen(await routers.startAt(cluster.url, options))).toEqual(seen(one));
    } finally {
      await probe.close();
      await routers.dispose();
      await cluster.dispose();
    }
  });
});
