// A router in a process of its own, whose memory a test can watch: `start` forgets the peak of the
// resident memory, `peak` answers with what was added since.
import { Router, RouteTable } from "@dynokit/router";

const routes = new RouteTable();
routes.set("app", {
  hosts: ["app.test"],
  backends: [{ address: { host: "127.0.0.1", port: Number(process.argv[2]) } }],
});
const router = new Router({ routes });
const { port } = await router.listen({ host: "127.0.0.1" });

let base = 0;
let peak = 0;
const sample = () => {
  peak = Math.max(peak, process.memoryUsage.rss());
};
setInterval(sample, 5);
process.on("message", (message) => {
  if (message === "start") {
    globalThis.gc?.();
    base = process.memoryUsage.rss();
    peak = base;
  }
  sample();
  process.send?.({ added: peak - base });
});
process.on("disconnect", () => process.exit(0));
process.send?.({ port });
