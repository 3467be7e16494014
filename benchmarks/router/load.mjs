// Load generator on plain sockets: a fixed number of connections, one request after the other on each.
import { connect } from "node:net";

/** Runs `total` requests over `connections` sockets; returns seconds and latencies in ms, sorted. */
export function load({ port, host = "app.test", total, connections, keepAlive = true }) {
  const request = Buffer.from(
    `GET /items/42?page=3 HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: bench\r\nAccept: text/html,application/json\r\nAccept-Encoding: gzip, br\r\nCookie: session=0123456789abcdef\r\n${keepAlive ? "" : "Connection: close\r\n"}\r\n`,
  );
  const latencies = new Float64Array(total);
  let started = 0;
  let finished = 0;
  let failed = 0;
  const begin = performance.now();
  return new Promise((resolve) => {
    const end = () => {
      const seconds = (performance.now() - begin) / 1000;
      resolve({ seconds, failed, latencies: latencies.slice(0, finished).sort() });
    };
    const run = () => {
      if (started >= total) return;
      let at = 0;
      let seen = 0;
      let need = 0;
      let done = true;
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      const send = () => {
        if (started >= total) return socket.destroy();
        started++;
        done = false;
        seen = 0;
        need = 0;
        at = performance.now();
        socket.write(request);
      };
      socket.on("connect", send);
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        seen += chunk.length;
        if (need === 0) {
          const head = chunk.indexOf("\r\n\r\n");
          if (!chunk.toString("latin1", 9, 12).startsWith("200")) failed++;
          need = head + 4 + 1024;
        }
        if (seen < need || done) return;
        done = true;
        latencies[finished++] = performance.now() - at;
        if (finished + 0 >= total) return end();
        if (keepAlive) send();
        else socket.destroy();
      });
      socket.on("close", () => {
        if (!done) {
          failed++;
          latencies[finished++] = performance.now() - at;
          if (finished >= total) return end();
        }
        run();
      });
    };
    for (let i = 0; i < connections; i++) run();
  });
}
