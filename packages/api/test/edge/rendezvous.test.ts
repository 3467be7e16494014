import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { describe, expect, it, onTestFinished } from "vitest";
import type { RendezvousSession, RendezvousStreams } from "../../src/edge/rendezvous.ts";
import { RendezvousClient, startEdge } from "./support.ts";

/** A one-off as a driver without a terminal gives it: a real shell behind pipes. */
function shell(
  command: string,
): RendezvousSession & { child: ChildProcess; closed: Promise<void> } {
  const child = spawn("sh", ["-c", command], { stdio: ["pipe", "pipe", "inherit"] });
  onTestFinished(() => {
    child.kill("SIGKILL");
    child.stdout.destroy();
  });
  child.stdin.on("error", () => undefined);
  // Node drops what nobody has read when a child ends.
  const output = child.stdout.pipe(new PassThrough());
  let hungUp: () => void;
  const closed = new Promise<void>((resolve) => {
    hungUp = resolve;
  });
  const streams: RendezvousStreams = {
    output: (async function* () {
      for await (const bytes of output) yield { stream: "stdout" as const, bytes };
    })(),
    write: async (bytes) => {
      if (!child.stdin.write(bytes)) await once(child.stdin, "drain");
    },
    end: async () => {
      child.stdin.end();
    },
    close: async () => {
      child.kill("SIGHUP");
      hungUp();
    },
  };
  return {
    child,
    closed,
    open: async () => streams,
  };
}

describe("the rendezvous of an attached one-off", () => {
  it("greets in a chunk of its own, then sends the output, then closes", async () => {
    const { edge, authority } = await startEdge();
    for (let round = 0; round < 20; round += 1) {
      const client = await RendezvousClient.connect(
        edge.offer(shell("echo out"), { tty: false }),
        authority.caPem,
      );
      await client.closed;
      expect(client.chunks[0]).toBe("rendezvous\r\n");
      expect(client.chunks.slice(1).join("")).toBe("out\n");
    }
  });

  it("gives the exit status line in one chunk, far into the output", async () => {
    const { edge, authority } = await startEdge();
    const session = shell(
      'head -c 200000 /dev/zero | tr "\\0" x; sh -c "exit 7"; echo "\uffff heroku-command-exit-status: $?"',
    );
    const client = await RendezvousClient.connect(
      edge.offer(session, { tty: false }),
      authority.caPem,
    );
    await client.closed;
    expect(client.chunks).toContain("\uffff heroku-command-exit-status: 7\n");
    expect(client.text.length).toBe(12 + 200_000 + 32);
  });

  it("turns a lone 0x04 into the end of input and passes every other one", async () => {
    const { edge, authority } = await startEdge();
    const client = await RendezvousClient.connect(
      edge.offer(shell("cat; echo done"), { tty: false }),
      authority.caPem,
    );
    await client.until((text) => text.includes("rendezvous"));
    client.socket.write("a\u0004b\n");
    await client.until((text) => text.includes("a\u0004b\n"));
    client.socket.write("\u0004");
    await client.closed;
    expect(client.text).toBe("rendezvous\r\na\u0004b\ndone\n");
  });

  it("lets a client without a terminal end its input before it is hung up on", async () => {
    const { edge, authority } = await startEdge({ lingerMs: 600_000 });
    const url = edge.offer(shell("echo out"), { tty: false });
    const client = await RendezvousClient.connect(url, authority.caPem);
    await client.until((text) => text.includes("out"));
    expect(client.socket.readableEnded).toBe(false);
    client.socket.write("\u0004");
    await client.closed;
    expect(client.text).toBe("rendezvous\r\nout\n");
  });

  it("leaves 0x04 to the line discipline of a terminal", async () => {
    const { edge, authority } = await startEdge();
    const client = await RendezvousClient.connect(
      edge.offer(shell("head -c 1 | od -c"), { tty: true }),
      authority.caPem,
    );
    await client.until((text) => text.includes("rendezvous"));
    client.socket.write("\u0004");
    await client.closed;
    expect(client.text).toContain("004");
  });

  it("buffers what comes before the process is there", async () => {
    const { edge, authority } = await startEdge();
    const session = shell("cat");
    let up: () => void = () => undefined;
    const ready = new Promise<void>((resolve) => {
      up = resolve;
    });
    const late: RendezvousSession = {
      open: async () => {
        await ready;
        return await session.open();
      },
    };
    const client = await RendezvousClient.connect(
      edge.offer(late, { tty: false }),
      authority.caPem,
    );
    client.socket.write("early\n");
    client.socket.write("x".repeat(500_000));
    up();
    await client.until((text) => text.length === 12 + 6 + 500_000);
    client.socket.write("\u0004");
    await client.closed;
  });

  it("hangs up on the process when the client goes", async () => {
    const { edge, authority } = await startEdge();
    const session = shell("echo ready; exec sleep 100");
    const client = await RendezvousClient.connect(
      edge.offer(session, { tty: false }),
      authority.caPem,
    );
    await client.until((text) => text.includes("ready"));
    client.socket.destroy();
    await session.closed;
  });

  it("takes a secret once, and never one that is unknown, expired", async () => {
    const { edge, authority, port } = await startEdge({ offerTtlMs: 60_000 });
    const url = edge.offer(shell("echo first; read x"), { tty: false });
    expect(url).toMatch(new RegExp(`^rendezvous://localhost:${port}/[0-9a-f]{64}$`));
    const client = await RendezvousClient.connect(url, authority.caPem);
    await client.until((text) => text.includes("first"));
    for (const other of [url, `rendezvous://localhost:${port}/${"0".repeat(64)}`]) {
      const second = await RendezvousClient.connect(other, authority.caPem);
      await second.closed;
      expect(second.text).toBe("");
    }
    client.socket.destroy();

    const short = await startEdge({ offerTtlMs: 1 });
    const expired = short.edge.offer(shell("read x"), { tty: false });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const third = await RendezvousClient.connect(expired, authority.caPem);
    await third.closed;
    expect(third.text).toBe("");
  });

  it("tells the client when the dyno can't be reached", async () => {
    const { edge, authority } = await startEdge();
    const url = edge.offer(
      {
        open: async () => {
          throw new Error("run.1234 is crashed");
        },
      },
      { tty: false },
    );
    const client = await RendezvousClient.connect(url, authority.caPem);
    await client.closed;
    expect(client.text).toBe(
      "rendezvous\r\n !     The dyno could not be reached: run.1234 is crashed\r\n",
    );
  });

  it("hangs up on everybody when the edge closes", async () => {
    const { edge, authority } = await startEdge();
    const session = shell("echo ready; exec sleep 100");
    const client = await RendezvousClient.connect(
      edge.offer(session, { tty: false }),
      authority.caPem,
    );
    await client.until((text) => text.includes("ready"));
    await edge.close();
    await session.closed;
    await client.closed;
  });
});
