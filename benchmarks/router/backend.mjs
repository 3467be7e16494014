// Answers as cheaply as Node can, so that the proxy is what is measured: 1 KiB to everything, 10 MB
// to /big, an echo after an upgrade; bodies are read and forgotten.
import { createServer } from "node:net";

const head = (length) =>
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\n\r\n`;
const answer = Buffer.from(head(1024) + "x".repeat(1024));
const big = Buffer.concat([Buffer.from(head(10_000_000)), Buffer.alloc(10_000_000, 120)]);
const switching =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const END = Buffer.from("\r\n\r\n");

const server = createServer({ noDelay: true }, (socket) => {
  let left = 0;
  let echo = false;
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    if (echo) {
      socket.write(chunk);
      return;
    }
    if (left > 0) {
      left -= chunk.length;
      if (left <= 0) socket.write(answer);
      return;
    }
    const first = chunk.toString("latin1", 0, 8);
    if (first === "GET /big") {
      socket.write(big);
    } else if (first.startsWith("GET /ws")) {
      echo = true;
      socket.write(switching);
    } else if (first.startsWith("POST")) {
      const end = chunk.indexOf(END);
      left = Number(/content-length: (\d+)/i.exec(chunk.toString("latin1", 0, end))?.[1] ?? 0);
      left -= chunk.length - end - 4;
      if (left <= 0) socket.write(answer);
    } else {
      let at = chunk.indexOf(END);
      while (at >= 0) {
        socket.write(answer);
        at = chunk.indexOf(END, at + 4);
      }
    }
  });
});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () =>
  process.send?.({ port: server.address().port }),
);
