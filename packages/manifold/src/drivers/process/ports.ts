import { closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { DriverError } from "../../driver/errors.ts";
import { dynoDirectory } from "./records.ts";

const HOST = "127.0.0.1";

/** Loopback ports for dynos: each is reserved by a file, so that a dyno that is slow to bind keeps its own. */
export class PortPool {
  readonly #directory: string;
  readonly #stateDirectory: string;
  readonly #from: number;
  readonly #count: number;
  readonly #random: () => number;

  constructor(
    stateDirectory: string,
    range: { readonly from: number; readonly to: number },
    random: () => number,
  ) {
    this.#stateDirectory = stateDirectory;
    this.#directory = join(stateDirectory, ".ports");
    this.#from = range.from;
    this.#count = range.to - range.from + 1;
    this.#random = random;
  }

  /** A free port, the dyno's until `release`. */
  async reserve(id: string): Promise<number> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const start = Math.floor(this.#random() * this.#count);
    for (let step = 0; step < this.#count; step++) {
      const port = this.#from + ((start + step) % this.#count);
      if (!this.#claim(port, id)) continue;
      if (await isFree(port)) return port;
      this.release(port, id);
    }
    throw new DriverError(
      "unavailable",
      `None of the ports ${this.#from} to ${this.#from + this.#count - 1} is free; widen the option "ports"`,
    );
  }

  release(port: number, id: string): void {
    const path = join(this.#directory, String(port));
    try {
      if (readFileSync(path, "utf8") === id) rmSync(path);
    } catch {
      // Freed already.
    }
  }

  #claim(port: number, id: string): boolean {
    const path = join(this.#directory, String(port));
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        const fd = openSync(path, "wx", 0o600);
        writeSync(fd, id);
        closeSync(fd);
        return true;
      } catch {
        // Taken. A dyno that is gone does not hold it.
        try {
          const holder = readFileSync(path, "utf8");
          if (holder === "" || existsSync(dynoDirectory(this.#stateDirectory, holder)))
            return false;
          rmSync(path);
        } catch {
          return false;
        }
      }
    }
    return false;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: HOST, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
