import { createReadStream, statSync } from "node:fs";
import { request } from "node:http";
import { request as secureRequest } from "node:https";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { CommandContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { progressBar } from "../output/progress.ts";
import type { ApiClient } from "./client.ts";
import { trusted } from "./trust.ts";

/** Streams a file to the URL that the platform named, with a bar on a terminal. */
export async function upload(
  file: string,
  target: string,
  client: ApiClient,
  context: CommandContext,
): Promise<void> {
  const url = new URL(target);
  const size = statSync(file).size;
  const bar = progressBar(context.terminal, "Uploading", size);
  const ca = trusted(client.platform.authority);
  const outgoing = (url.protocol === "https:" ? secureRequest : request)(url, {
    method: "PUT",
    headers: { "content-length": size },
    signal: context.signal,
    ...(ca ? { ca } : {}),
  });
  const answer = new Promise<{ status: number; text: string }>((done, fail) => {
    outgoing.on("error", fail);
    outgoing.on("response", (incoming) => {
      let text = "";
      incoming.setEncoding("utf8");
      incoming.on("data", (chunk: string) => {
        text += chunk;
      });
      incoming.on("end", () => done({ status: incoming.statusCode ?? 0, text }));
    });
  });
  const count = new Transform({
    transform(chunk: Buffer, _, done) {
      bar.add(chunk.length);
      done(null, chunk);
    },
  });
  // A refusal may come while the file is still on its way: then the answer says more than the pipe.
  const sent = pipeline(createReadStream(file), count, outgoing).catch(() => undefined);
  const { status, text } = await answer;
  await sent;
  bar.end();
  if (status >= 300) {
    const message = /"message":\s*"([^"]*)"/.exec(text)?.[1] ?? text;
    throw new CliError("api", `The platform refused the upload (${status}): ${message}`, {
      exitStatus: 2,
    });
  }
}
