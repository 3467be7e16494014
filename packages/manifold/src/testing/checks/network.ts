import assert from "node:assert/strict";
import { request } from "node:http";
import { canConnect } from "../../driver/can-connect.ts";
import type { DynoAddress } from "../../driver/contract.ts";
import type { CheckContext, Started } from "../context.ts";
import type { Check } from "../types.ts";

const LISTEN = `exec node -e 'require("http").createServer((q, s) => s.end(process.env.PORT)).listen(process.env.PORT)'`;

function get(address: DynoAddress): Promise<string> {
  return new Promise((resolve, reject) => {
    const target =
      "port" in address
        ? { host: address.host, port: address.port }
        : { socketPath: address.socketPath };
    const outgoing = request({ ...target, path: "/", agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve(body));
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

async function startListening(context: CheckContext): Promise<Started & { address: DynoAddress }> {
  const started = await context.start(context.options.listen ?? LISTEN, { port: true });
  const { address } = started.handle;
  assert.ok(address, "a port was asked for, and the handle has no address");
  if (context.driver.ready) await context.driver.ready(started.id);
  else
    await context.until(() => canConnect(address, 2_000), "nothing listens at the address", 30_000);
  return { ...started, address };
}

export const networkChecks: readonly Check[] = [
  {
    number: 64,
    name: "net.port",
    concern: "network",
    passes: "`PORT` is set, the address in the handle answers, and `ready` tells when",
    async run(context) {
      const { id, address } = await startListening(context);
      const port = (await get(address)).trim();
      assert.match(port, /^\d+$/, "PORT is not set in the dyno");
      if ("port" in address && !context.capabilities.isolation.network)
        assert.equal(Number(port), address.port, "PORT and the address differ");
      const { listening } = await context.driver.inspect(id);
      if (listening)
        assert.ok(
          listening.some((one) => one.port === Number(port)),
          "inspect does not show the port",
        );
    },
  },
  {
    number: 65,
    name: "net.two",
    concern: "network",
    passes: "two dynos that bind the same inner port both answer",
    skip: ({ isolation }) => (isolation.network ? undefined : "isolation.network not declared"),
    async run(context) {
      const [first, second] = await Promise.all([startListening(context), startListening(context)]);
      assert.notDeepEqual(first.address, second.address);
      const ports = await Promise.all([get(first.address), get(second.address)]);
      assert.match(ports[0], /^\d+/);
      assert.equal(ports[0], ports[1], "the inner ports differ; nothing was shown");
    },
  },
];
