import {
  createServer as createHttp,
  type IncomingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttps } from "node:https";
import type { AddressInfo, Socket } from "node:net";

/** A request that a receiver got. */
export interface ReceivedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

/** What a receiver does with a request. */
export type Answer =
  | number
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  | ((request: ReceivedRequest, response: ServerResponse, socket: Socket) => void);

/** An HTTP server that answers by script and keeps what it got. */
export interface Receiver {
  readonly port: number;
  readonly requests: ReceivedRequest[];
  readonly connections: number;
  /** Answers in order; the last one stays. */
  script(...answers: Answer[]): void;
  /** Bodies of messages, in order, over all requests answered 2xx. */
  lines(): string[];
  close(): Promise<void>;
}

export async function startReceiver(
  tls?: { key: string; cert: string },
  port = 0,
): Promise<Receiver> {
  const requests: ReceivedRequest[] = [];
  const sockets = new Set<Socket>();
  let accepted: ReceivedRequest[] = [];
  let answers: Answer[] = [200];
  let connections = 0;
  const handle = (server: Server) => {
    server.on("request", (incoming, response) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", () => undefined);
      incoming.on("end", () => {
        const request: ReceivedRequest = {
          method: incoming.method ?? "",
          url: incoming.url ?? "",
          headers: incoming.headers,
          rawHeaders: incoming.rawHeaders,
          body: Buffer.concat(chunks),
        };
        requests.push(request);
        const answer = (answers.length > 1 ? answers.shift() : answers[0]) as Answer;
        if (typeof answer === "function") {
          answer(request, response, incoming.socket);
          return;
        }
        const {
          status,
          headers = {},
          body = "",
        } = typeof answer === "number" ? { status: answer } : answer;
        if (status >= 200 && status < 300) accepted = [...accepted, request];
        response.writeHead(status, headers).end(body);
      });
    });
    server.on("connection", (socket) => {
      connections++;
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    });
  };
  const server = tls ? createHttps(tls) : createHttp();
  handle(server as Server);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    get connections() {
      return connections;
    },
    script(...next) {
      answers = next;
    },
    lines: () => accepted.flatMap((request) => parseFrames(request.body).map(bodyOf)),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Octet-counted frames → frames without their count. Throws when the bytes do not fit. */
export function parseFrames(bytes: Buffer): string[] {
  const frames: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at);
    const digits = bytes.toString("latin1", at, space);
    if (!/^[1-9]\d{0,6}$/.test(digits)) throw new Error(`bad length "${digits}" at ${at}`);
    const end = space + 1 + Number(digits);
    if (end > bytes.length) throw new Error("truncated frame");
    frames.push(bytes.toString("utf8", space + 1, end));
    at = end;
  }
  return frames;
}

/** Body of a frame of the dialect logplex, without its LF. */
export function bodyOf(frame: string): string {
  return frame.split(" ").slice(6).join(" ").replace(/\n$/, "");
}

/** Waits for a condition by letting I/O run; a guard of 30 s turns a hang into a failure. */
export async function until(condition: () => boolean, what = "condition"): Promise<void> {
  const end = Date.now() + 30_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
