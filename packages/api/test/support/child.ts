import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("./server.ts", import.meta.url));

/** What a process says of itself. */
export interface Report {
  readonly port: number;
  readonly token: string;
  readonly leader: boolean;
  readonly steps: number;
  /** Version of the release that the manifold was told, by app. */
  readonly env: Readonly<Record<string, number>>;
}

/** An answer, or undefined when the process died before it came. */
export interface Reply {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into JSON of many shapes.
  readonly json: any;
}

/** A platform in a process of its own. */
export class Server {
  readonly #child: ChildProcess;
  #port = 0;
  #token = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(plan: object): Promise<Server> {
    const child = fork(program, [JSON.stringify(plan)], {
      execArgv: ["--conditions=@dynokit/source", "--import", "tsx"],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    // Each call that waits when it is killed listens for its end.
    child.setMaxListeners(0);
    let errors = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
    const [first] = (await Promise.race([
      once(child, "message"),
      once(child, "exit").then(() => {
        throw new Error(`The server ended before it was up: ${errors}`);
      }),
    ])) as [Report];
    const server = new Server(child);
    server.#port = first.port;
    server.#token = first.token;
    return server;
  }

  get dead(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async report(): Promise<Report> {
    const answer = once(this.#child, "message");
    this.#child.send("report");
    const [report] = (await answer) as [Report];
    return report;
  }

  async call(method: string, path: string, body?: unknown): Promise<Reply | undefined> {
    try {
      const url = path.startsWith("http") ? path : `http://127.0.0.1:${this.#port}${path}`;
      const response = await fetch(url, {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return {
        status: response.status,
        json: text.startsWith("<") ? text : JSON.parse(text || "{}"),
      };
    } catch (error) {
      if (this.dead) return undefined;
      // The connection may break a moment before the end of the process is known.
      await Promise.race([once(this.#child, "exit"), new Promise((r) => setTimeout(r, 2000))]);
      if (this.dead) return undefined;
      throw error;
    }
  }

  /** Opens an event stream after a position. */
  async stream(path: string, after: string): Promise<Response> {
    return await fetch(`http://127.0.0.1:${this.#port}${path}`, {
      headers: {
        authorization: `Bearer ${this.#token}`,
        accept: "text/event-stream",
        "last-event-id": after,
      },
    });
  }

  async kill(): Promise<void> {
    if (this.dead) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  async close(): Promise<void> {
    if (this.dead) return;
    const ended = once(this.#child, "exit");
    this.#child.send("close");
    await ended;
  }
}
