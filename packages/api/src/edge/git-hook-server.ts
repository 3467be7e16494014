import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger } from "../logger.ts";
import { hookMessage, type PushContext, type PushJudge } from "./git-push.ts";

/** Bytes of the list of references that a hook may send. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const FRAME_OUTPUT = 0x6f;
const FRAME_EXIT = 0x78;

/**
 * Where pre-receive hooks report. A hook proves with a token, given to its git alone, for which
 * push it speaks; the socket lives in a directory that only our user can enter.
 */
export class GitHookServer {
  readonly #judge: PushJudge;
  readonly #logger: Logger;
  readonly #expected = new Map<string, PushContext>();
  readonly #sockets = new Set<Socket>();
  readonly #judging = new Set<Promise<void>>();
  #server: Server | undefined;
  #directory: string | undefined;

  constructor(judge: PushJudge, logger: Logger) {
    this.#judge = judge;
    this.#logger = logger;
  }

  /** Path of the socket; a short one, since the system bounds it to about a hundred bytes. */
  get path(): string {
    return join(this.#directory ?? "", "hook");
  }

  async listen(): Promise<void> {
    this.#directory = await mkdtemp(join(tmpdir(), "dynokit-git-"));
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.on("error", (error) => {
      this.#logger.error({ error: String(error) }, "The socket of the git hooks failed");
    });
    this.#server.listen(this.path);
    await once(this.#server, "listening");
  }

  /** Announces a push; `ended` must be called when its git has ended. */
  expect(push: Omit<PushContext, "ended">): { readonly token: string; readonly ended: () => void } {
    const token = randomBytes(24).toString("hex");
    let resolve: () => void = () => undefined;
    const ended = new Promise<void>((done) => {
      resolve = done;
    });
    this.#expected.set(token, { ...push, ended });
    return {
      token,
      ended: () => {
        this.#expected.delete(token);
        resolve();
      },
    };
  }

  /** Resolves when no push is being judged. */
  async idle(): Promise<void> {
    await Promise.all(this.#judging);
  }

  /** Hangs up on hooks, which then refuse their pushes. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (server !== undefined) {
      server.close();
      await once(server, "close");
    }
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // A hook that was killed; its push fails by itself.
    socket.on("error", () => undefined);
    let text = "";
    socket.setEncoding("utf8");
    const onData = (chunk: string) => {
      text += chunk;
      const end = text.indexOf("\n");
      if (end < 0) {
        if (text.length > MAX_MESSAGE_BYTES) socket.destroy();
        return;
      }
      socket.off("data", onData);
      socket.resume();
      const judging = this.#answer(socket, text.slice(0, end))
        .catch((error: unknown) => {
          this.#logger.error({ error: String(error) }, "A push could not be judged");
          socket.destroy();
        })
        .finally(() => this.#judging.delete(judging));
      this.#judging.add(judging);
    };
    socket.on("data", onData);
  }

  async #answer(socket: Socket, line: string): Promise<void> {
    const message = hookMessage.safeParse(JSON.parse(line));
    const context = message.success ? this.#expected.get(message.data.token) : undefined;
    if (!message.success || context === undefined) {
      socket.destroy();
      return;
    }
    // One push, one hook: the token is worth nothing a second time.
    this.#expected.delete(message.data.token);
    const accepted = await this.#judge.judge(context, message.data, (chunk) => {
      if (chunk.length > 0 && !socket.destroyed) socket.write(frame(FRAME_OUTPUT, chunk));
    });
    if (!socket.destroyed) socket.end(frame(FRAME_EXIT, Uint8Array.of(accepted ? 0 : 1)));
  }
}

function frame(type: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head[0] = type;
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, payload]);
}
