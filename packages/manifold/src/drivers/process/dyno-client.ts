import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ExitResult } from "../../driver/contract.ts";
import { DriverError } from "../../driver/errors.ts";
import { AckFile } from "./ack-file.ts";
import { Connection, type Message } from "./connection.ts";
import { LoadAverage } from "./load-average.ts";
import type { LogWaiter } from "./log-reader.ts";
import { isLive, killLeftovers, lostResult, readStatus, type StatusRecord } from "./records.ts";

/** One dyno as this driver sees it: its files, and a connection to its supervisor while it lives. */
export class DynoClient {
  readonly id: string;
  readonly directory: string;
  readonly ack: AckFile;
  readonly load = new LoadAverage();
  #connection: Connection | undefined;
  #connecting: Promise<void> | undefined;
  #result: ExitResult | undefined;
  #exited: Promise<ExitResult>;
  #settle: (result: ExitResult) => void = () => {};
  #wake: () => void = () => {};
  #grown: Promise<void> | undefined;
  #closed = false;
  onEvent: (message: Message) => void = () => {};

  constructor(id: string, directory: string) {
    this.id = id;
    this.directory = directory;
    this.ack = new AckFile(directory);
    this.#exited = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get status(): StatusRecord | undefined {
    return readStatus(this.directory);
  }

  /** The exit; settles at once when it is known. */
  async wait(): Promise<ExitResult> {
    await this.connect();
    return this.#exited;
  }

  /** Makes sure that the end of the dyno will be seen. */
  connect(): Promise<void> {
    if (this.#result || (this.#connection && !this.#connection.closed)) return Promise.resolve();
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  /** A question for the supervisor; `not-found` when the dyno has ended. */
  async ask(message: Readonly<Record<string, unknown>>): Promise<Message> {
    await this.connect();
    if (!this.#connection || this.#result) throw DriverError.notFound(this.id);
    return this.#connection.ask(message);
  }

  /** For readers of the log. */
  get waiter(): LogWaiter {
    const isOver = () => this.#result !== undefined || this.#closed;
    return {
      get over() {
        return isOver();
      },
      wait: () => this.#nextOutput(),
    };
  }

  /** Readers wake up and end; the dyno lives on. */
  close(): void {
    this.#closed = true;
    this.#connection?.close();
    this.ack.close();
    this.#wakeReaders();
  }

  async #connect(): Promise<void> {
    const status = this.status;
    if (!status) throw DriverError.notFound(this.id);
    if (status.state === "exited" || status.state === "lost") return this.#end(status);
    let connection: Connection;
    try {
      connection = await Connection.ofDyno(this.directory, status);
    } catch {
      return this.#afterClose();
    }
    if (this.#closed) return connection.close();
    connection.onEvent = (message) => this.#onEvent(message);
    connection.onClose = () => {
      if (!this.#closed) void this.#afterClose();
    };
    this.#connection = connection;
    if (this.#grown !== undefined) connection.tell({ op: "watch" });
  }

  #onEvent(message: Message): void {
    if (message.event === "log") this.#wakeReaders();
    else if (message.event === "exit" && message.exit) this.#settleWith(message.exit);
    else this.onEvent(message);
  }

  /** The supervisor is gone: it has told the end in its file, or the dyno is lost. */
  async #afterClose(): Promise<void> {
    // Its process may be there some moments longer than its socket.
    for (let round = 0; round < 100; round++) {
      const status = this.status;
      if (!status || status.state === "exited" || status.state === "lost" || !isLive(status)) break;
      await new Promise((done) => setTimeout(done, 10));
    }
    const status = this.status;
    if (status) await this.#end(status);
    else this.#wakeReaders();
  }

  async #end(status: StatusRecord): Promise<void> {
    if (status.exit) return this.#settleWith(status.exit);
    const exit = lostResult(status);
    await killLeftovers(status);
    try {
      const path = join(this.directory, "status.json");
      writeFileSync(`${path}.lost`, JSON.stringify({ ...status, state: "lost", exit }), {
        mode: 0o600,
      });
      renameSync(`${path}.lost`, path);
    } catch {
      // Destroyed meanwhile.
    }
    this.#settleWith(exit);
  }

  #settleWith(exit: ExitResult): void {
    this.#result ??= exit;
    this.#settle(this.#result);
    this.#connection?.close();
    this.#wakeReaders();
  }

  #nextOutput(): Promise<void> {
    if (this.#grown === undefined) {
      this.#grown = new Promise((resolve) => {
        this.#wake = resolve;
      });
      this.#connection?.tell({ op: "watch" });
      if (this.#result || this.#closed) this.#wakeReaders();
    }
    return this.#grown ?? Promise.resolve();
  }

  #wakeReaders(): void {
    this.#grown = undefined;
    this.#wake();
  }
}
