import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { DriverError } from "../../driver/errors.ts";
import { Connection } from "./connection.ts";
import { sharedDirectory } from "./records.ts";
import { answerOf, type Launcher, type LaunchSpec, spawnShim } from "./shim.ts";

/** One supervisor for all dynos of a state directory; it ends when it has neither dynos nor drivers. */
export class SharedLauncher implements Launcher {
  readonly #directory: string;
  readonly #timeoutMs: number;
  #connecting: Promise<Connection> | undefined;
  #connection: Connection | undefined;
  #closed = false;

  constructor(stateDirectory: string, timeoutMs: number) {
    this.#directory = sharedDirectory(stateDirectory);
    this.#timeoutMs = timeoutMs;
  }

  async start(directory: string, spec: LaunchSpec): Promise<void> {
    const deadline = Date.now() + this.#timeoutMs;
    while (!(await this.#ask(directory, spec))) {
      // It was killed already, and that was not known yet: nothing was begun.
      if (!existsSync(join(directory, "status.json")) && Date.now() < deadline) continue;
      throw new DriverError("unavailable", "The shared supervisor went while it started the dyno");
    }
  }

  /** False when the supervisor went before it answered. */
  async #ask(directory: string, spec: LaunchSpec): Promise<boolean> {
    const connection = await this.#connected();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      connection.close();
    }, this.#timeoutMs);
    try {
      await connection.ask({ op: "start", directory, spec });
      return true;
    } catch (error) {
      if (late)
        throw new DriverError("unavailable", "The shared supervisor did not answer", {
          cause: error,
        });
      // Not the dyno but its supervisor went.
      if (connection.closed) return false;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#connecting?.catch(() => {});
    this.#connection?.close();
  }

  async #connected(): Promise<Connection> {
    if (this.#connection && !this.#connection.closed) return this.#connection;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #connect(): Promise<Connection> {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const complaints = join(this.#directory, "shim.log");
    const deadline = Date.now() + this.#timeoutMs;
    let connection = await Connection.open(this.#directory).catch(() => undefined);
    while (!connection) {
      const child = spawnShim(["shared", this.#directory], complaints);
      await answerOf(child, this.#timeoutMs, complaints).catch((error: unknown) => {
        // Another driver was faster: its supervisor is as good.
        if (!DriverError.is(error) || error.code !== "failed") throw error;
      });
      // Not the one that was faster, perhaps, but one that is about to die: then once more.
      connection = await Connection.open(this.#directory).catch((error: unknown) => {
        if (Date.now() > deadline) throw error;
        return undefined;
      });
    }
    if (this.#closed) connection.close();
    this.#connection = connection;
    return connection;
  }
}
