import { connect, type Socket } from "node:net";
import { dirname, resolve } from "node:path";
import { CliError } from "../errors.ts";
import { type InputStream, readConsole } from "../run/console-input.ts";
import { type ControlReply, type ControlRequest, readMessages, send } from "./control-protocol.ts";
import { ownerOf, placeOf } from "./place.ts";

/** Where a client looks for the run. */
export interface ControlTarget {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly procfile?: string | undefined;
}

async function open({ cwd, env, procfile }: ControlTarget): Promise<Socket> {
  const directory = procfile === undefined ? cwd : dirname(resolve(cwd, procfile));
  const place = placeOf(directory, env);
  const nobody = (cause?: unknown) =>
    new CliError(
      "failed",
      `dynokit local does not run in ${directory}: start it with \`dynokit local\`, or name its Procfile with -f.`,
      cause === undefined ? {} : { cause },
    );
  if (!ownerOf(place)) throw nobody();
  const socket = connect(place.socket);
  await new Promise<void>((done, fail) => {
    socket.once("connect", done);
    socket.once("error", (error) => fail(nobody(error)));
  });
  socket.on("error", () => undefined); // `close` follows, and says it.
  return socket;
}

const cut = () =>
  new CliError("failed", "dynokit local ended before it answered; its own terminal says why.");

/** Asks once. @throws CliError with what the run says, or when there is none. */
export async function ask<T>(target: ControlTarget, request: ControlRequest): Promise<T> {
  const socket = await open(target);
  return new Promise<T>((done, fail) => {
    readMessages<ControlReply>(socket, (reply) => {
      if ("ok" in reply) done(reply.result as T);
      else if ("error" in reply) fail(new CliError("failed", reply.error));
    });
    socket.on("close", () => fail(cut()));
    void send(socket, request);
  });
}

/** Log lines one by one, until the end or `signal`. */
export async function readLog(
  target: ControlTarget,
  request: Extract<ControlRequest, { op: "logs" }>,
  options: { readonly line: (text: string) => void; readonly signal: AbortSignal },
): Promise<void> {
  const socket = await open(target);
  const stop = () => socket.destroy();
  options.signal.addEventListener("abort", stop, { once: true });
  await new Promise<void>((done, fail) => {
    readMessages<ControlReply>(socket, (reply) => {
      if ("line" in reply) options.line(reply.line);
      else if ("error" in reply) fail(new CliError("failed", reply.error));
      else if ("ok" in reply) done();
    });
    // A tail ends with the run that it follows.
    socket.on("close", () => done());
    void send(socket, request);
  });
  options.signal.removeEventListener("abort", stop);
  socket.destroy();
}

/** Ctrl-]: leaves the dyno running. */
const detachKey = 0x1d;

export interface AttachClientOptions {
  readonly dyno: string;
  readonly input: InputStream;
  readonly output: NodeJS.WriteStream;
  readonly signal: AbortSignal;
  readonly said: (text: string) => void;
}

/** Joins this terminal with a dyno; resolves with its exit status, or 0 when detached. */
export async function attachToLocal(
  target: ControlTarget,
  options: AttachClientOptions,
): Promise<number> {
  const { dyno, input, output, signal } = options;
  const socket = await open(target);
  const sendSize = () =>
    void send(socket, { size: { columns: output.columns || 80, rows: output.rows || 24 } });
  let stopInput = () => {};
  const detach = () => socket.destroy();
  signal.addEventListener("abort", detach, { once: true });
  try {
    return await new Promise<number>((done, fail) => {
      let detached = false;
      readMessages<ControlReply>(socket, (reply) => {
        if ("error" in reply) fail(new CliError("failed", reply.error));
        else if ("exit" in reply) done(reply.exit);
        else if ("output" in reply) output.write(Buffer.from(reply.output, "base64"));
        else if ("attached" in reply) {
          const raw = reply.attached.tty && input.isTTY === true && output.isTTY === true;
          options.said(
            input.isTTY === true
              ? `attached to ${reply.attached.dyno}; ${raw ? "Ctrl-]" : "Ctrl-C"} detaches and leaves it running`
              : `attached to ${reply.attached.dyno}`,
          );
          if (raw) {
            sendSize();
            output.on("resize", sendSize);
          }
          stopInput = readConsole(input, raw, {
            data: async (bytes) => {
              if (raw && bytes.includes(detachKey)) {
                detached = true;
                socket.destroy();
              } else await send(socket, { input: bytes.toString("base64") });
            },
            end: () => send(socket, { end: true }),
          });
        }
      });
      socket.on("close", () => {
        if (detached || signal.aborted) done(0);
        else fail(cut());
      });
      void send(socket, { op: "attach", dyno });
    });
  } finally {
    stopInput();
    output.off("resize", sendSize);
    signal.removeEventListener("abort", detach);
    socket.destroy();
  }
}
