import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ApiError, notFound } from "../errors.ts";
import { sourcePath } from "../platform/builds.ts";
import { type Platform, systemActor } from "../platform/platform.ts";
import { isUuid } from "../resources/common.ts";
import type { RawCall, RawRoute } from "./raw-route.ts";

const keepSourcesMs = 24 * 60 * 60 * 1000;

/** The 403 of every URL whose signature does not fit. */
export function badSignature(): ApiError {
  return new ApiError("forbidden", "The signature of this URL is wrong or has expired.");
}

export function tooLargeUpload(limit: number): ApiError {
  return new ApiError("too-large", `The upload is larger than ${limit} bytes, the limit here.`, {
    headers: { connection: "close" },
  });
}

/** Streams a body to a file; a part of one is never left behind. */
async function receive(platform: Platform, request: Request, path: string): Promise<number> {
  const limit = platform.limits.maxUploadBytes;
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLargeUpload(limit);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const part = `${path}.${randomUUID()}.part`;
  let size = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > limit) done(tooLargeUpload(limit));
      else done(null, chunk);
    },
  });
  try {
    await pipeline(
      request.body ? Readable.fromWeb(request.body as never) : Readable.from([]),
      counter,
      createWriteStream(part, { mode: 0o600 }),
    );
    if (size === 0) throw new ApiError("bad-request", "The upload is empty.");
    await rename(part, path);
    return size;
  } catch (error) {
    await rm(part, { force: true });
    if (ApiError.is(error)) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOSPC")
      throw new ApiError("unavailable", "There is no room for the upload.", { cause: error });
    throw new ApiError("bad-request", "The upload ended early.", { cause: error });
  }
}

function verified(call: RawCall, text: string): void {
  const signature = call.url.searchParams.get("signature") ?? "";
  if (!call.platform.secrets.verify(text, signature)) throw badSignature();
}

async function fileResponse(path: string): Promise<Response> {
  const info = await stat(path).catch(() => undefined);
  if (!info) throw notFound("blob");
  return new Response(Readable.toWeb(createReadStream(path)) as ReadableStream, {
    headers: {
      "Content-Type": "application/gzip",
      "Content-Length": String(info.size),
    },
  });
}

async function putSource({ platform, url, params, request }: RawCall): Promise<Response> {
  const id = params["id"] ?? "";
  const expires = url.searchParams.get("expires") ?? "";
  const signature = url.searchParams.get("signature") ?? "";
  if (!isUuid(id) || !platform.secrets.verify(`source:PUT:${id}:${expires}`, signature))
    throw badSignature();
  if (Number(expires) * 1000 < platform.clock.now()) throw badSignature();
  await receive(platform, request, sourcePath(platform, id));
  return new Response(null, { status: 200 });
}

async function putSlug(call: RawCall): Promise<Response> {
  const { platform, params, request } = call;
  const id = params["id"] ?? "";
  verified(call, `slug:PUT:${id}`);
  const find = () =>
    platform.db.selectFrom("slugs").selectAll().where("id", "=", id).executeTakeFirst();
  const slug = await find();
  if (!slug || !platform.builder) throw notFound("slug");
  if (slug.blob_id !== null)
    throw new ApiError("conflict", "The archive of this slug is here already; slugs never change.");
  const path = join(platform.store.directory, "uploads", id);
  await receive(platform, request, path);
  try {
    const built = await platform.builder.importSlug({
      path,
      processTypes: JSON.parse(slug.process_types) as Record<string, string>,
      ...(slug.checksum === null ? {} : { checksum: slug.checksum }),
    });
    await platform.write(systemActor, async ({ tx, now }) => {
      await tx
        .updateTable("slugs")
        .set({
          blob_id: built.id,
          path: built.path,
          checksum: built.checksum,
          size: built.size,
          updated_at: now,
        })
        .where("id", "=", id)
        .where("blob_id", "is", null)
        .execute();
    });
  } finally {
    await rm(path, { force: true });
  }
  return new Response(null, { status: 200 });
}

export const uploadRoutes: readonly RawRoute[] = [
  {
    method: "PUT",
    path: "/source-blobs/{id}",
    summary: "Takes the source archive of a build; the URL comes from POST /sources.",
    types: [],
    accepts: "application/octet-stream",
    handler: putSource,
  },
  {
    method: "GET",
    path: "/source-blobs/{id}",
    summary: "Gives an uploaded source archive back.",
    types: ["application/gzip"],
    handler: async (call) => {
      const id = call.params["id"] ?? "";
      verified(call, `source:GET:${id}`);
      return await fileResponse(sourcePath(call.platform, id));
    },
  },
  {
    method: "PUT",
    path: "/slug-blobs/{id}",
    summary: "Takes the archive of a slug; the URL comes from POST /apps/{app}/slugs.",
    types: [],
    accepts: "application/octet-stream",
    handler: putSlug,
  },
  {
    method: "GET",
    path: "/slug-blobs/{id}",
    summary: "Gives the archive of a slug.",
    types: ["application/gzip"],
    handler: async (call) => {
      const id = call.params["id"] ?? "";
      verified(call, `slug:GET:${id}`);
      const slug = await call.platform.db
        .selectFrom("slugs")
        .select("path")
        .where("id", "=", id)
        .executeTakeFirst();
      if (!slug?.path) throw notFound("slug");
      return await fileResponse(slug.path);
    },
  },
];

/** Removes uploads that nobody will build any more. */
export async function removeOldSources(platform: Platform): Promise<void> {
  const directory = dirname(sourcePath(platform, "any"));
  const oldest = platform.clock.now() - keepSourcesMs;
  for (const name of await readdir(directory).catch(() => [])) {
    const path = join(directory, name);
    const info = await stat(path).catch(() => undefined);
    if (info && info.mtimeMs < oldest) await rm(path, { force: true });
  }
}
