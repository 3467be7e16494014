import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into JSON of many shapes.
  readonly json: any;
}

/** The example platform as its own process, driven from outside as a user would. */
export class PlatformProcess {
  readonly child: ChildProcess;
  readonly data: string;
  output = "";
  apiUrl = "";
  routerPort = 0;
  token = "";

  constructor(data: string, args: readonly string[] = []) {
    this.data = data;
    this.child = spawn(
      process.execPath,
      [
        "--import",
        "tsx",
        "--conditions=@dynokit/source",
        join(root, "examples/platform/main.mjs"),
        ...["--port", "0", "--api-port", "0", "--data", data, ...args],
      ],
      { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NO_COLOR: "1" } },
    );
    this.child.setMaxListeners(0); // `says` waits for many things at once.
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on("data", (chunk) => {
        this.output += chunk;
        this.child.emit("output");
      });
  }

  /** Resolves when the platform has said `pattern`; rejects when it ended without. */
  async says(pattern: RegExp): Promise<RegExpMatchArray> {
    for (;;) {
      const match = this.output.match(pattern);
      if (match) return match;
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`the platform ended:\n${this.output}`);
      await Promise.race([once(this.child, "output"), once(this.child, "exit")]);
    }
  }

  async ready(): Promise<this> {
    this.apiUrl = ((await this.says(/API\s+(http:\/\/\S+)/))[1] as string).replace(/\/$/, "");
    this.routerPort = Number((await this.says(/Router\s+http:\/\/\S+?:(\d+)/))[1]);
    await this.says(/Try next/);
    this.token = readFileSync(join(this.data, "token"), "utf8").trim();
    return this;
  }

  /** A call of the API. */
  api(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const raw = body instanceof Uint8Array || typeof body === "string" || body === undefined;
    return send(new URL(path, this.apiUrl), {
      method,
      headers: {
        accept: "application/vnd.heroku+json; version=3",
        authorization: `Bearer ${this.token}`,
        ...(raw ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      body: raw ? (body as string | Uint8Array | undefined) : JSON.stringify(body),
    });
  }

  /** A request of a client, through the router, to the host of an app. */
  visit(host: string, path = "/"): Promise<Answer> {
    return send(new URL(`http://127.0.0.1:${this.routerPort}${path}`), {
      method: "GET",
      headers: { host, accept: "*/*" },
      body: undefined,
    });
  }

  async stop(signal: NodeJS.Signals = "SIGINT"): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill(signal);
      await once(this.child, "exit");
    }
    return this.child.exitCode;
  }
}

export function send(
  url: URL,
  options: {
    method: string;
    headers: Record<string, string>;
    body: string | Uint8Array | undefined;
  },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { method: options.method, headers: options.headers, agent: false },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          let json: unknown;
          try {
            json = JSON.parse(text);
          } catch {
            json = undefined;
          }
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, json });
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(options.body);
  });
}

/** Asks again until `check` holds; the caller's test time-out is the only limit. */
export async function eventually<T>(
  ask: () => Promise<T>,
  check: (value: T) => boolean,
): Promise<T> {
  for (;;) {
    const value = await ask();
    if (check(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
