import { type FSWatcher, watch } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { CertificatePair, CertificateStore } from "./certificate-store.ts";

/** Options of {@link followCertificateFolder}. */
export interface CertificateFolderOptions {
  /** Name of the certificate for handshakes without a known name; default the first one. */
  readonly fallback?: string;
  /** Told about each pair that is not usable; what was there before stays. */
  readonly onError?: (error: unknown, name: string) => void;
}

const SETTLE_MS = 100;

/**
 * Keeps a store like a folder: `<name>.crt` (or `.pem`) beside `<name>.key`, or a folder `<name>`
 * with `fullchain.pem` and `privkey.pem`. Files that change are read again, those that go are
 * removed; certificates that were put by other means stay (spec/router.md §21).
 *
 * @returns once the folder was read; `close` ends following, `refresh` reads now. Links to files
 * in other folders can change unseen: call `refresh` after their renewal.
 * @throws the system's error when the folder cannot be read.
 */
export async function followCertificateFolder(
  store: CertificateStore,
  folder: string,
  options: CertificateFolderOptions = {},
): Promise<{ refresh(): Promise<void>; close(): void }> {
  const known = new Map<string, string>();
  let closed = false;

  const read = async () => {
    const pairs = await readPairs(folder);
    if (closed) return;
    for (const name of [...known.keys()])
      if (!pairs.has(name)) {
        known.delete(name);
        store.remove(name);
      }
    for (const [name, pair] of pairs) {
      const content = `${pair.cert}\0${pair.key}`;
      if (known.get(name) === content) continue;
      try {
        store.put(name, pair, options.fallback === name ? { fallback: true } : {});
        known.set(name, content);
      } catch (error) {
        options.onError?.(error, name);
      }
    }
  };

  // One reading at a time, so that an older one never wins.
  let last: Promise<void> = Promise.resolve();
  const refresh = () => {
    last = last.catch(() => {}).then(read);
    return last;
  };
  await refresh();

  let timer: NodeJS.Timeout | null = null;
  const soon = () => {
    if (closed || timer !== null) return;
    // Certificate and key are two files: the second one follows at once.
    timer = setTimeout(() => {
      timer = null;
      refresh().catch((error: unknown) => options.onError?.(error, ""));
    }, SETTLE_MS);
  };
  const watcher: FSWatcher = watch(folder, { recursive: true, persistent: false }, soon);
  watcher.on("error", (error) => options.onError?.(error, ""));
  return {
    refresh,
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      watcher.close();
    },
  };
}

async function readPairs(folder: string): Promise<Map<string, CertificatePair>> {
  const pairs = new Map<string, CertificatePair>();
  const add = async (name: string, cert: string, key: string) => {
    try {
      pairs.set(name, {
        cert: await readFile(join(folder, cert), "utf8"),
        key: await readFile(join(folder, key), "utf8"),
      });
    } catch (error) {
      // Half a pair is one that is on its way, or no pair at all.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  };
  for (const entry of (await readdir(folder, { withFileTypes: true })).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const file = /^(.+)\.(?:crt|pem)$/.exec(entry.name);
    if (entry.isDirectory())
      await add(entry.name, join(entry.name, "fullchain.pem"), join(entry.name, "privkey.pem"));
    else if (file !== null) await add(file[1] as string, entry.name, `${file[1]}.key`);
  }
  return pairs;
}
