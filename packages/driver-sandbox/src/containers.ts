import { existsSync, mkdirSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { runProgram } from "@dynokit/manifold";
import { containerName } from "./bundle.ts";

const PREFIX = containerName("");

/** What an OCI runtime notes about the containers of a state directory; it outlives them. */
export class Containers {
  readonly #runtime: string;
  readonly #notes: string;
  readonly #stateDirectory: string;

  constructor(runtime: string, notes: string, stateDirectory: string) {
    this.#runtime = runtime;
    this.#notes = notes;
    this.#stateDirectory = stateDirectory;
    mkdirSync(notes, { recursive: true, mode: 0o700 });
  }

  /** Ends it if it has not ended, and takes away its groups and what is noted. */
  async remove(id: string): Promise<void> {
    const name = containerName(id);
    if (!existsSync(join(this.#notes, name))) return;
    await runProgram(this.#runtime, ["--root", this.#notes, "delete", "--force", name]);
  }

  /** Removes those whose dyno is gone, such as one whose start was cut short. */
  async sweep(): Promise<void> {
    for (const name of await readdir(this.#notes)) {
      const id = name.slice(PREFIX.length);
      if (name.startsWith(PREFIX) && !existsSync(join(this.#stateDirectory, id)))
        await this.remove(id);
    }
  }
}
