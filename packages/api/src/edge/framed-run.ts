import type { IncomingMessage, ServerResponse } from "node:http";
import type { RendezvousSession, RendezvousStreams } from "./rendezvous.ts";

/**
 * The secret of `POST /attach/<secret>`: the last part of an `attach_url`, presented over plain
 * HTTP. Undefined for every other request.
 */
export function attachSecretOf(request: IncomingMessage): string | undefined {
  return /^\/attach\/([0-9a-f]{64})$/.exec(request.url ?? "")?.[1];
}

/** The answer to a method other than POST, and to a secret that is wrong, used or expired. */
export function refuseAttach(
  response: ServerResponse,
  status: 404 | 405 | 410,
  message: string,
): void {
  const id = status === 404 ? "not_found" : status === 405 ? "method_not_allowed" : "gone";
  response.writeHead(status, {
    "content-type": "application/json",
    "cache-control": "no-store",
    ...(status === 405 ? { allow: "POST" } : {}),
  });
  response.end(`${JSON.stringify({ id, message })}\n`);
}

/**
 * A run over plain HTTP (spec/platform-api.md §12.8): the request's body is the input, its end
 * the end of input. The answer is one JSON object a line: `{"stream":"stdout","data":"<base64>"}`
 * for output, at last `{"exit_code":3,"signal":null}`. A client that goes hangs up the dyno.
 */
export async function serveFramed(
  request: IncomingMessage,
  response: ServerResponse,
  session: RendezvousSession,
): Promise<void> {
  let open = true;
  const gone = new Promise<"gone">((resolve) => {
    response.once("close", () => {
      open = false;
      resolve("gone");
    });
  });
  let streams: RendezvousStreams;
  try {
    streams = (await session.open()) as RendezvousStreams;
  } catch (error) {
    const reason = error instanceof Error ? error.message : "unknown";
    refuseAttach(response, 410, `The dyno could not be reached: ${reason}`);
    return;
  }
  const feeding = feed(request, streams);
  // The process may end, or close its input, while the client still sends.
  feeding.catch(() => request.resume());
  response.writeHead(200, {
    "content-type": "application/x-ndjson",
    "cache-control": "no-cache, no-store",
    "x-accel-buffering": "no",
  });
  response.flushHeaders();
  const send = async (line: unknown) => {
    if (open && !response.write(`${JSON.stringify(line)}\n`))
      await Promise.race([gone, new Promise((resolve) => response.once("drain", resolve))]);
  };
  const pumping = (async () => {
    for await (const { stream, bytes } of streams.output)
      await send({ stream, data: Buffer.from(bytes).toString("base64") });
    const exit = await (session.wait?.() ?? streams.wait?.());
    await send({ exit_code: exit?.exitCode ?? null, signal: exit?.signal ?? null });
    return "ended" as const;
  })();
  // After a disconnect the output is still read to its end, so that the process can't block.
  pumping.catch(() => undefined);
  if ((await Promise.race([pumping, gone])) === "gone") await streams.close();
  else response.end();
}

async function feed(request: IncomingMessage, streams: RendezvousStreams): Promise<void> {
  for await (const chunk of request) await streams.write(chunk as Buffer);
  await streams.end();
}
