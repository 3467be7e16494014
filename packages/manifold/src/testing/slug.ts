import { readFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import type { SlugRef } from "../driver/contract.ts";

/** A gzipped tar (POSIX ustar) with these files, all of mode 0755. */
export function packSlug(files: Readonly<Record<string, string>>): Buffer {
  const blocks: Buffer[] = [];
  for (const [name, content] of Object.entries(files)) {
    const body = Buffer.from(content);
    const header = Buffer.alloc(512);
    header.write(`./${name}`, 0);
    header.write("0000755\0", 100);
    header.write("0000000\0", 108);
    header.write("0000000\0", 116);
    header.write(`${body.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write("00000000000\0", 136);
    header.write("        ", 148);
    header.write("0", 156);
    header.write("ustar\x0000", 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    blocks.push(header, body, Buffer.alloc((512 - (body.length % 512)) % 512));
  }
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}

/** The files of an archive that `packSlug` made, by name. */
export function readSlug({ path }: SlugRef): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  if (path === undefined) return files;
  const archive = gunzipSync(readFileSync(path));
  for (let start = 0; archive[start]; ) {
    const name = archive.toString("utf8", start, archive.indexOf(0, start));
    const length = Number.parseInt(archive.toString("latin1", start + 124, start + 135), 8);
    files.set(name.slice(2), archive.toString("utf8", start + 512, start + 512 + length));
    start += 512 + Math.ceil(length / 512) * 512;
  }
  return files;
}
