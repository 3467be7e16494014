import { createConnection, type Socket } from "node:net";
import { basename, dirname } from "node:path";
import {
  encodeFrame,
  encodeMessage,
  FrameReader,
  KIND_DATA,
  KIND_MESSAGE,
  withSocketPath,
} from "../../../shim/wire.mjs";
import type { ExitResult } from "../../driver/contract.ts";
import { DriverError, type DriverErrorCode } from "../../driver/errors.ts";
import { type StatusRecord, sharedDirectory } from "./records.ts";

/** What a supervisor says. */
export interface Message {
  readonly id?: number;
  readonly event?: "log" | "exit" | "oom" | "notice";
  readonly exit?: ExitResult;
  readonly at?: number;
  readonly message?: string;
  readonly status?: StatusRecord;
  readonly pid?: number;
  readonly error?: { readonly code: string; readonly message: string };
}

const codes: Readonly<Record<string, DriverErrorCode>> = {
  "missing-binary": "invalid-spec",
  "not-executable": "invalid-spec",
  "bad-directory": "invalid-spec",
  "not-supported": "not-supported",
};

/** The error of a supervisor as one of a driver. */
export function toDriverError(error: {
  readonly code: string;
  readonly message: string;
}): DriverError {
  return new DriverError(codes[error.code] ?? "failed", error.message, {
    details: { reason: error.code },
  });
}

/** One connection to the supervisor of a dyno: questions with answers, and events. */
export class Connection {
  readonly #socket: Socket;
  readonly #waiting = new Map<
    number,
    { resolve: (message: Message) => void; reject: (error: DriverError) => void }
  >();
  readonly #reader = new FrameReader();
  #next = 0;
  #closed = false;
  onEvent: (message: Message) => void = () => {};
  onData: (kind: number, bytes: Buffer) => void = () => {};
  onClose: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) =>
      this.#reader.push(chunk, (kind, payload) => {
        if (kind !== KIND_MESSAGE) this.onData(kind, Buffer.from(payload));
        else this.#receive(JSON.parse(payload.toString("utf8")) as Message);
      }),
    );
    // What is wrong shows as the close that follows.
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#closed = true;
      for (const { reject } of this.#waiting.values())
        reject(new DriverError("not-found", "The dyno ended before it answered"));
      this.#waiting.clear();
      this.onClose();
    });
  }

  /** To the supervisor of a dyno, wherever that has its socket. */
  static async ofDyno(directory: string, status: StatusRecord | undefined): Promise<Connection> {
    if (status?.socket === undefined) return Connection.open(directory);
    const shared = sharedDirectory(dirname(directory));
    const connection = await Connection.open(shared, status.socket);
    connection.tell({ dyno: basename(directory) });
    return connection;
  }

  static open(directory: string, name?: string): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = withSocketPath(directory, (path) => createConnection(path), name);
      const fail = (cause: Error) =>
        reject(new DriverError("not-found", "The supervisor does not answer", { cause }));
      socket.once("error", fail);
      socket.once("connect", () => {
        socket.off("error", fail);
        resolve(new Connection(socket));
      });
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  async ask(message: Readonly<Record<string, unknown>>): Promise<Message> {
    const id = ++this.#next;
    const answer = new Promise<Message>((resolve, reject) => {
      if (this.#closed) reject(new DriverError("not-found", "The dyno has ended"));
      else this.#waiting.set(id, { resolve, reject });
    });
    this.tell({ ...message, id });
    const result = await answer;
    if (result.error) throw toDriverError(result.error);
    return result;
  }

  /** Without an answer. */
  tell(message: Readonly<Record<string, unknown>>): void {
    if (!this.#closed) this.#socket.write(encodeMessage(message));
  }

  /** Bytes of a session; resolves when the socket has room for more. */
  async send(bytes: Uint8Array): Promise<void> {
    const socket = this.#socket;
    for (let at = 0; at < bytes.length && !this.#closed; at += 65_536) {
      if (socket.write(encodeFrame(KIND_DATA, bytes.subarray(at, at + 65_536)))) continue;
      await new Promise<void>((done) => {
        const settle = () => {
          socket.off("drain", settle);
          socket.off("close", settle);
          done();
        };
        socket.on("drain", settle);
        socket.on("close", settle);
      });
    }
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Sends what is queued, then ends. */
  end(): void {
    this.#socket.end();
  }

  #receive(message: Message): void {
    const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id);
    if (!waiting) {
      this.onEvent(message);
      return;
    }
    this.#waiting.delete(message.id as number);
    waiting.resolve(message);
  }
}
