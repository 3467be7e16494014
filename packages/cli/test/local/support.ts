import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CliProcess,
  type CliResult,
  cli,
  freePorts,
  processesWith,
} from "../support/cli-process.ts";

/** A directory with a Procfile, and the runs of `dynokit local` in it. */
export class LocalProject {
  readonly home = mkdtempSync(join(tmpdir(), "dk-"));
  readonly directory = join(this.home, "shop");
  readonly mark = `DYNOKIT_MARK=${randomUUID()}`;
  port = 0;
  readonly #runs: CliProcess[] = [];

  static async make(files: Readonly<Record<string, string>>): Promise<LocalProject> {
    const project = new LocalProject();
    const { mkdirSync } = await import("node:fs");
    mkdirSync(project.directory);
    mkdirSync(join(project.home, "run"), { mode: 0o700 });
    for (const [name, text] of Object.entries(files)) project.write(name, text);
    project.port = await freePorts(8);
    return project;
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.directory, name), text);
  }

  get env(): Record<string, string> {
    const [name, value] = this.mark.split("=") as [string, string];
    return {
      HOME: this.home,
      XDG_STATE_HOME: join(this.home, "state"),
      XDG_RUNTIME_DIR: join(this.home, "run"),
      [name]: value,
    };
  }

  /** Starts `dynokit local` with ports of the test's own. */
  start(...args: string[]): CliProcess {
    return this.startWith({}, ...args);
  }

  startWith(env: Readonly<Record<string, string>>, ...args: string[]): CliProcess {
    const run = new CliProcess(["local", "-p", String(this.port), "--router-port", "0", ...args], {
      cwd: this.directory,
      env: { ...this.env, ...env },
    });
    this.#runs.push(run);
    return run;
  }

  /** What another terminal asks. */
  ask(...args: string[]): Promise<CliResult> {
    return cli(["local", ...args], { cwd: this.directory, env: this.env });
  }

  /** Every process of the project, its supervisors apart, which are given no environment. */
  processes(): number[] {
    return processesWith(this.mark);
  }

  async close(): Promise<void> {
    for (const run of this.#runs)
      if (run.child.exitCode === null && run.child.signalCode === null) {
        run.kill("SIGINT");
        await run.end();
      }
    for (const pid of this.processes()) process.kill(pid, "SIGKILL");
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** A web process without dependencies; its answer says who it is. */
export const webScript = `
const { createServer } = require("node:http");
createServer((request, response) => response.end(process.env.DYNO + " " + process.pid)).listen(
  process.env.PORT,
  () => console.log("listening on", process.env.PORT),
);
`;
