import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { Header, list } from "tar";
import { onTestFinished } from "vitest";
import { Builder, type BuilderOptions, type BuildRequest } from "../../src/index.ts";

/** A directory that goes when the test ends. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), "dynokit-builder-")));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Writes files; a value of `{ link }` makes a symbolic link, `{ run }` an executable. */
export async function writeTree(
  root: string,
  files: Record<string, string | { link: string } | { run: string }>,
): Promise<string> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name);
    await mkdir(dirname(path), { recursive: true });
    if (typeof content === "string") await writeFile(path, content);
    else if ("link" in content) await symlink(content.link, path);
    else await writeFile(path, content.run, { mode: 0o755 });
  }
  return root;
}

export async function makeTree(files: Parameters<typeof writeTree>[1]): Promise<string> {
  return await writeTree(await temporaryDirectory(), files);
}

export interface RawEntry {
  readonly path: string;
  readonly type?: "File" | "Directory" | "SymbolicLink" | "Link" | "CharacterDevice" | "FIFO";
  readonly content?: string;
  readonly linkpath?: string;
  readonly mode?: number;
}

/** A tar exactly as told, harmful or not. */
export function rawTar(entries: readonly RawEntry[]): Buffer {
  const blocks: Buffer[] = [];
  for (const entry of entries) {
    const content = Buffer.from(entry.content ?? "");
    const block = Buffer.alloc(512);
    new Header({
      path: entry.path,
      type: entry.type ?? "File",
      mode: entry.mode ?? 0o644,
      size: content.length,
      ...(entry.linkpath === undefined ? {} : { linkpath: entry.linkpath }),
    }).encode(block);
    blocks.push(block, content, Buffer.alloc((512 - (content.length % 512)) % 512));
  }
  blocks.push(Buffer.alloc(1024));
  return Buffer.concat(blocks);
}

export async function tarball(entries: readonly RawEntry[]): Promise<string> {
  const path = join(await temporaryDirectory(), "source.tgz");
  await writeFile(path, gzipSync(rawTar(entries)));
  return path;
}

export interface Bench {
  readonly builder: Builder;
  readonly directory: string;
  /** Everything that builds of `request` have said. */
  text(): string;
  request(rest: Partial<BuildRequest> & Pick<BuildRequest, "source">): BuildRequest;
  /** Names left in the work directory. */
  leftovers(): Promise<string[]>;
}

/** A builder of its own directory that is closed when the test ends. */
export async function makeBench(options: Partial<BuilderOptions> = {}): Promise<Bench> {
  const directory = await temporaryDirectory();
  const builder = new Builder({ directory, ...options });
  onTestFinished(() => builder.close());
  let text = "";
  let count = 0;
  return {
    builder,
    directory,
    text: () => text,
    request: (rest) => {
      count += 1;
      return {
        id: `build-${count}`,
        app: { id: "app-1", name: "demo" },
        env: {},
        output: (chunk) => {
          text += Buffer.from(chunk).toString();
        },
        ...rest,
      };
    },
    leftovers: () => readdir(join(directory, "work")).catch(() => []),
  };
}

/** Paths inside an archive, directories with a slash at the end. */
export async function namesIn(archive: string): Promise<string[]> {
  const names: string[] = [];
  await list({ file: archive, onReadEntry: (entry) => names.push(entry.path) });
  return names;
}

/** PIDs of living processes whose command line holds the text. */
export async function processesWith(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
    if (line.includes(text)) found.push(pid);
  }
  return found;
}
