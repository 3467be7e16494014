// Answers every request with 1 KiB as cheaply as Node can, so that the proxy is what is measured.
import { createServer } from "node:net";

const body = "x".repeat(1024);
const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
);
const END = Buffer.from("\r\n\r\n");
const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    let at = chunk.indexOf(END);
    while (at >= 0) {
      socket.write(answer);
      at = chunk.indexOf(END, at + 4);
    }
  });
});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () =>
  process.send?.({ port: server.address().port }),
);
