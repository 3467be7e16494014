import { connect } from "node:net";

/** One command, one connection: enough of a Redis client for a lease. `port` or a socket's path. */
export function redisCommander(place: string | number) {
  return {
    sendCommand(command: string[]): Promise<unknown> {
      return new Promise((resolve, reject) => {
        const socket = typeof place === "number" ? connect(place, "127.0.0.1") : connect(place);
        let text = "";
        socket.setTimeout(2_000, () => socket.destroy(new Error("no answer")));
        socket.once("error", reject);
        socket.once("close", () => reject(new Error("connection closed")));
        socket.on("data", (chunk) => {
          text += chunk.toString("utf8");
          const reply = parseReply(text);
          if (!reply) return;
          socket.end();
          if (reply.error) reject(new Error(reply.error));
          else resolve(reply.value);
        });
        const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`);
        socket.write(`*${command.length}\r\n${parts.join("")}`);
      });
    },
  };
}

function parseReply(text: string): { value?: unknown; error?: string } | undefined {
  const end = text.indexOf("\r\n");
  if (end === -1) return undefined;
  const head = text.slice(1, end);
  switch (text[0]) {
    case "+":
      return { value: head };
    case "-":
      return { error: head };
    case ":":
      return { value: Number(head) };
    default: {
      const length = Number(head);
      if (length === -1) return { value: null };
      if (text.length < end + 4 + length) return undefined;
      return { value: text.slice(end + 2, end + 2 + length) };
    }
  }
}
