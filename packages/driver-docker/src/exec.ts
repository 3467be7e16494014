import { randomUUID } from "node:crypto";
import type { Duplex } from "node:stream";
import type { DriverSession, DynoDriver, ExitResult } from "@dynokit/manifold";
import { throwIfAborted } from "@dynokit/manifold";
import type Docker from "dockerode";
import { terminalSize } from "./container-spec.ts";
import { engineError } from "./engine.ts";
import { demultiplex } from "./log-stream.ts";
import { dockerSession } from "./session.ts";

type ExecOptions = NonNullable<Parameters<NonNullable<DynoDriver["exec"]>>[2]>;

/** Runs a program inside and waits for its end; its output is of no interest. */
async function runInside(container: Docker.Container, argv: readonly string[]): Promise<number> {
  const exec = await container.exec({ Cmd: [...argv], AttachStdout: true, AttachStderr: true });
  const stream = await exec.start({ hijack: true, stdin: false });
  stream.resume();
  await new Promise<void>((resolve) => stream.once("close", resolve));
  return (await exec.inspect()).ExitCode ?? 0;
}

/** What a program that is run inside writes to its output. */
export async function outputOf(
  container: Docker.Container,
  argv: readonly string[],
): Promise<string> {
  const exec = await container.exec({ Cmd: [...argv], AttachStdout: true });
  const stream = await exec.start({ hijack: true, stdin: false });
  stream.on("error", () => stream.destroy());
  let text = "";
  for await (const { bytes } of demultiplex(stream, false)) text += bytes.toString("latin1");
  return text;
}

/**
 * Signals every process of the container but its init, as Heroku does at a stop; a process that
 * had stopped itself gets SIGCONT, without which it would not see the signal (spec/drivers.md §3).
 */
export async function signalAll(container: Docker.Container, signal: string): Promise<void> {
  const name = signal.replace(/^SIG/, "");
  const status = await runInside(container, [
    "/bin/sh",
    "-c",
    `kill -${name} -1; result=$?; kill -CONT -1; exit $result`,
  ]);
  if (status > 128) return; // The shell itself may be among the signalled.
  if (status !== 0)
    throw engineError(new Error(`kill ended with status ${status}`), `Sending ${signal}`);
}

/** `exec` of the driver contract: a program in a running container. */
export async function execIn(
  container: Docker.Container,
  argv: readonly string[],
  options: ExecOptions,
): Promise<DriverSession> {
  throwIfAborted(options.signal);
  // The engine has no call that signals an exec'd program, so its PID is noted inside.
  const pidFile = `/tmp/.dynokit-exec-${randomUUID()}`;
  const startedAt = Date.now();
  const note = `echo $$ > ${pidFile}; ${terminalSize(options.tty)}exec "$@"`;
  const exec = await container
    .exec({
      Cmd: ["/bin/sh", "-c", note, "sh", ...argv],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Tty: options.tty !== undefined,
      Env: Object.entries(options.env ?? {}).map(([key, value]) => `${key}=${value}`),
    })
    .catch((error: unknown) => {
      throw engineError(error, `Running ${argv[0]}`);
    });
  const stream = (await exec.start({
    hijack: true,
    stdin: true,
    Tty: options.tty !== undefined,
  })) as Duplex;
  if (options.tty) await exec.resize({ w: options.tty.columns, h: options.tty.rows });

  const signal = async (name: string) => {
    await runInside(container, [
      "/bin/sh",
      "-c",
      `kill -${name.replace(/^SIG/, "")} "$(cat ${pidFile})"`,
    ]);
  };
  let timedOut = false;
  const ended = new Promise<void>((resolve) => stream.once("close", resolve));
  const kill = () => void signal("SIGKILL").catch(() => stream.destroy());
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          kill();
        }, options.timeoutMs);
  options.signal?.addEventListener("abort", kill, { once: true });

  const result = ended.then(async (): Promise<ExitResult> => {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", kill);
    const code = (await exec.inspect()).ExitCode ?? null;
    return {
      exitCode: timedOut ? null : code,
      signal: timedOut ? "SIGKILL" : null,
      oomKilled: false,
      startedAt,
      endedAt: Date.now(),
      ...(timedOut ? { error: `ended after its ${options.timeoutMs} ms` } : {}),
    };
  });
  // Observed by `wait`; a container removed meanwhile must not be an unhandled rejection.
  result.catch(() => undefined);

  return dockerSession(stream, {
    tty: options.tty !== undefined,
    resize: ({ columns, rows }) => exec.resize({ w: columns, h: rows }),
    signal,
    wait: () => result,
    closed: async () => kill(),
  });
}
