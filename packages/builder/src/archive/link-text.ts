import { posix } from "node:path";
import { unsafe } from "./entry-guard.ts";

/**
 * The text of a link as the unpacker can take it. It reserves an entry's path and its link's text
 * as if both counted from the root, and waits for itself for ever where one is a directory on the
 * way to the other: such a link gets another text with the same meaning.
 *
 * @throws BuilderError `unsafe-archive` for a link that can't exist.
 */
export function linkText(entry: {
  readonly path: string;
  readonly type: string;
  readonly linkpath: string;
}): string {
  const { path, type, linkpath } = entry;
  const [own, target] = [key(path), key(linkpath)];
  if (!target.startsWith(`${own}/`) && !own.startsWith(`${target}/`)) return linkpath;
  const parent = posix.dirname(posix.normalize(path));
  if (type === "Link" || parent === ".")
    throw unsafe(path, `is a link to "${linkpath}" through itself`);
  return `../${posix.basename(parent)}/${linkpath}`;
}

/** Names that the unpacker takes for the same, whatever the file system. */
const key = (text: string) =>
  posix
    .normalize(text)
    .replace(/\/+$/, "")
    .normalize("NFD")
    .toLocaleLowerCase("en")
    .toLocaleUpperCase("en");
