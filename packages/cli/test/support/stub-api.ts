import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  // biome-ignore lint/suspicious/noExplicitAny: tests look into JSON of many shapes.
  readonly body: any;
}

export interface StubAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, or text when it is a string. */
  readonly body?: unknown;
}

type Answerer = StubAnswer | ((request: SeenRequest) => StubAnswer);

/** An API that answers what a test says and remembers what it was asked. */
export class StubApi {
  readonly seen: SeenRequest[] = [];
  readonly #answers = new Map<string, Answerer>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const seen: SeenRequest = {
          method: request.method ?? "",
          path: request.url ?? "",
          headers: request.headers,
          body: text === "" ? undefined : tryJson(text),
        };
        this.seen.push(seen);
        const answerer = this.#answers.get(`${seen.method} ${seen.path}`);
        const answer: StubAnswer =
          typeof answerer === "function"
            ? answerer(seen)
            : (answerer ?? {
                status: 404,
                body: { id: "not_found", message: `Couldn't find ${seen.path}.` },
              });
        const plain = typeof answer.body === "string";
        response.writeHead(answer.status ?? 200, {
          "content-type": plain ? "text/plain" : "application/json",
          ...answer.headers,
        });
        response.end(plain ? (answer.body as string) : JSON.stringify(answer.body ?? {}));
      });
    });
  }

  async listen(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What `METHOD /path` answers from now on. */
  on(request: string, answer: Answerer): this {
    this.#answers.set(request, answer);
    return this;
  }

  /** `METHOD /path` of everything that was asked. */
  get lines(): string[] {
    return this.seen.map(({ method, path }) => `${method} ${path}`);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
