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

const BODY = 10_000_000;

/** Runs `steps` one after the other on a connection; each writes and says when its answer is there. */
function onConnection(port, opening, step, count) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let done = 0;
    let state = null;
    const next = () => {
      if (done++ >= count) {
        socket.destroy();
        resolve();
      } else state = step(socket);
    };
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("closed by the proxy")));
    let opened = opening === null;
    socket.on("connect", () => (opened ? next() : socket.write(opening)));
    socket.on("data", (chunk) => {
      if (!opened) {
        opened = true;
        if (chunk.toString("latin1", 9, 12) !== "101") reject(new Error("no tunnel"));
        else next();
      } else if (state(chunk)) next();
    });
  });
}

function ends(length) {
  let need = 0;
  let seen = 0;
  return (chunk) => {
    seen += chunk.length;
    if (need === 0) need = chunk.indexOf("\r\n\r\n") + 4 + length;
    return seen >= need;
  };
}

/** Downloads or uploads bodies of 10 MB over four connections; returns bytes moved. */
export async function transfer({ port, direction, count }) {
  const body = Buffer.alloc(BODY, 120);
  const get = "GET /big HTTP/1.1\r\nHost: app.test\r\n\r\n";
  const post = `POST /up HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${BODY}\r\n\r\n`;
  const step = (socket) => {
    socket.write(direction === "down" ? get : post);
    if (direction === "up") socket.write(body);
    return ends(direction === "down" ? BODY : 1024);
  };
  await Promise.all([1, 2, 3, 4].map(() => onConnection(port, null, step, count / 4)));
  return count * BODY;
}

/** Sends masked WebSocket frames of 125 octets and waits for each echo. */
export async function echo({ port, connections, messages }) {
  const opening =
    "GET /ws HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  const frame = Buffer.alloc(131, 7);
  frame[0] = 0x82;
  frame[1] = 0x80 | 125;
  const step = (socket) => {
    let seen = 0;
    socket.write(frame);
    return (chunk) => {
      seen += chunk.length;
      return seen >= frame.length;
    };
  };
  const each = messages / connections;
  await Promise.all(
    Array.from({ length: connections }, () => onConnection(port, opening, step, each)),
  );
}
