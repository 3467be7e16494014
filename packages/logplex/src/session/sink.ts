import type { ServerResponse } from "node:http";
import type { WebSocket } from "ws";
import { type StreamFormat, type StreamHead, socketFormat } from "./stream-format.ts";

/** Where the lines of a session go: an HTTP response or a WebSocket. */
export interface Sink<Format extends StreamHead = StreamFormat> {
  readonly format: Format;
  /** The reader is told that there is nothing to read. Nothing was begun. */
  refuse(status: number, message: string, headers?: Readonly<Record<string, string>>): void;
  /** `headers` go to those that can carry them. */
  begin(headers?: Readonly<Record<string, string>>): void;
  /** False: the reader is slow, wait for {@link ready}. */
  write(chunks: readonly (string | Buffer)[]): boolean;
  /** Settles when the reader has taken enough. */
  ready(signal: AbortSignal): Promise<void>;
  /** Shows an idle reader that the session lives. */
  beat(): void;
  readonly ended: boolean;
  end(): void;
  /** Calls back once when the reader is gone. */
  onGone(listener: () => void): void;
}

/** Lines as the body of a response. */
export function responseSink<Format extends StreamHead>(
  response: ServerResponse,
  format: Format,
): Sink<Format> {
  return {
    format,
    refuse(status, message, headers = {}) {
      response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8", ...headers });
      response.end(`${message}\n`);
    },
    begin(headers = {}) {
      response.writeHead(200, {
        ...headers,
        "Content-Type": format.contentType,
        "Cache-Control": "no-cache, no-store",
        "X-Accel-Buffering": "no",
      });
      if (format.preamble !== "") response.write(format.preamble);
      // The head must reach a client that waits for the first line.
      else response.flushHeaders();
    },
    write: (chunks) =>
      response.write(
        typeof chunks[0] === "string" ? chunks.join("") : Buffer.concat(chunks as Buffer[]),
      ),
    ready: (signal) =>
      new Promise<void>((resolve) => {
        const done = (): void => {
          response.off("drain", done);
          signal.removeEventListener("abort", done);
          resolve();
        };
        response.on("drain", done);
        signal.addEventListener("abort", done, { once: true });
      }),
    beat() {
      if (format.keepAlive !== "" && response.writableLength === 0)
        response.write(format.keepAlive);
    },
    get ended() {
      return response.writableEnded;
    },
    end() {
      if (!response.writableEnded) response.end();
    },
    onGone(listener) {
      response.on("close", listener);
      // A reset by the peer is how a reader says that it has had enough.
      response.on("error", listener);
    },
  };
}

/** Bytes that may wait for a slow reader of a WebSocket. */
const SOCKET_BUFFER = 64 * 1024;

/** One text message per line of the channel. */
export function socketSink(socket: WebSocket): Sink {
  let waiting: (() => void) | undefined;
  let answered = true;
  socket.on("pong", () => {
    answered = true;
  });
  const sent = (): void => {
    if (socket.bufferedAmount < SOCKET_BUFFER) waiting?.();
  };
  return {
    format: socketFormat(socket.protocol),
    refuse(status, message) {
      // 4000 and above are for applications; the HTTP status stays recognisable in it.
      socket.close(4000 + status, message.slice(0, 120));
    },
    begin: () => undefined,
    write(chunks) {
      for (const chunk of chunks) socket.send(chunk, sent);
      return socket.bufferedAmount < SOCKET_BUFFER;
    },
    ready: (signal) =>
      new Promise<void>((resolve) => {
        const done = (): void => {
          waiting = undefined;
          signal.removeEventListener("abort", done);
          resolve();
        };
        waiting = done;
        signal.addEventListener("abort", done, { once: true });
        sent();
      }),
    beat() {
      // A peer that answers no ping is gone, though TCP has not noticed.
      if (!answered && socket.bufferedAmount === 0) socket.terminate();
      else {
        answered = false;
        socket.ping();
      }
    },
    get ended() {
      return socket.readyState !== socket.OPEN;
    },
    end() {
      if (socket.readyState === socket.OPEN) socket.close(1000);
    },
    onGone(listener) {
      socket.on("close", listener);
      socket.on("error", listener);
    },
  };
}
