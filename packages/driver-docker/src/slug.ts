import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { SlugRef } from "@dynokit/manifold";
import { DriverError } from "@dynokit/manifold";

/** Compares the archive with its recorded checksum: a difference is R17 (spec/dynos.md §12). */
export async function verifySlug(slug: SlugRef): Promise<string> {
  if (slug.path === undefined)
    throw new DriverError(
      "invalid-spec",
      `Slug ${slug.id} has no path: the Docker driver reads slugs from the file system.`,
    );
  const hash = createHash("sha256");
  await pipeline(createReadStream(slug.path), hash);
  const found = `SHA256:${hash.digest("hex")}`;
  if (found !== slug.checksum)
    throw new DriverError(
      "checksum",
      `Slug ${slug.id} has checksum ${found} and not the recorded ${slug.checksum}: build it again.`,
    );
  return slug.path;
}
