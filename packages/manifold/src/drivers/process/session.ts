import { KIND_ERROR } from "../../../shim/wire.mjs";
import type { DriverSession, ExitResult } from "../../driver/contract.ts";
import { DriverError } from "../../driver/errors.ts";
import type { Connection } from "./connection.ts";

interface Chunk {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

/** Output held for a slow consumer; above it the socket, and with it the process, waits. */
const MAX_HELD_BYTES = 1_048_576;

/** A connection that has become a session. `hangup` is what closing means to the other side. */
export class SocketSession implements DriverSession {
  readonly #connection: Connection;
  readonly #chunks: Chunk[] = [];
  readonly #exit: Promise<ExitResult>;
  #held = 0;
  #over = false;
  #wake: () => void = () => {};

  constructor(connection: Connection, endOfDyno: () => Promise<ExitResult>) {
    this.#connection = connection;
    this.#exit = new Promise((resolve, reject) => {
      connection.onEvent = (message) => {
        if (message.event === "exit" && message.exit) resolve(message.exit);
      };
      connection.onClose = () => {
        this.#over = true;
        this.#wake();
        // Without an exit of its own it ended together with the dyno, or its client went.
        endOfDyno().then(resolve, (error: unknown) => reject(DriverError.from(error)));
      };
    });
    // Nobody has to wait for the result of a session.
    this.#exit.catch(() => {});
    connection.onData = (kind, bytes) => {
      this.#chunks.push({ stream: kind === KIND_ERROR ? "stderr" : "stdout", bytes });
      this.#held += bytes.length;
      if (this.#held > MAX_HELD_BYTES) connection.pause();
      this.#wake();
    };
  }

  readonly output: AsyncIterable<Chunk> = {
    [Symbol.asyncIterator]: () => ({
      next: async (): Promise<IteratorResult<Chunk>> => {
        while (this.#chunks.length === 0 && !this.#over) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
        const value = this.#chunks.shift();
        if (!value) return { done: true, value: undefined };
        this.#held -= value.bytes.length;
        if (this.#held <= MAX_HELD_BYTES) this.#connection.resume();
        return { done: false, value };
      },
    }),
  };

  write(bytes: Uint8Array): Promise<void> {
    return this.#connection.send(bytes);
  }

  async end(): Promise<void> {
    this.#connection.tell({ op: "end" });
  }

  async resize(size: { readonly columns: number; readonly rows: number }): Promise<void> {
    await this.#ask({ op: "resize", size });
  }

  async signal(name: string): Promise<void> {
    await this.#ask({ op: "signal", name });
  }

  wait(): Promise<ExitResult> {
    return this.#exit;
  }

  async close(): Promise<void> {
    this.#connection.tell({ op: "hangup" });
    this.#connection.resume();
    this.#connection.end();
    this.#chunks.length = 0;
    this.#over = true;
    this.#wake();
  }

  async #ask(message: Readonly<Record<string, unknown>>): Promise<void> {
    try {
      await this.#connection.ask(message);
    } catch (error) {
      // After the end there is nothing to resize or to signal.
      if (!DriverError.is(error) || error.code !== "not-found") throw error;
    }
  }
}
