import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DriverError } from "@dynokit/manifold";
import type { Settings } from "./options.ts";
import { seccompFilter } from "./seccomp.ts";

/** Files that all dynos of a state directory share; readable for their users. */
export interface Home {
  /** First program of a dyno, outside: for bubblewrap. */
  readonly enter: string;
  /** The same for an OCI runtime. */
  readonly oci: string;
  /** First program of a container, inside. */
  readonly first: string;
  /** Starts a program beside a dyno. */
  readonly join: string;
  /** Empty without a filter. */
  readonly filter: string;
  /** Generated parts of `/etc`. */
  readonly etc: string;
  /** The dyno's `/etc/resolv.conf`. */
  readonly resolver: string;
  /** Where the sockets of the bridges are. */
  readonly sockets: string;
  /** Where an OCI runtime notes its containers. */
  readonly containers: string;
}

const ETC = {
  passwd: "root:x:0:0:root:/root:/bin/false\ndyno:x:1000:1000:dyno:/app:/bin/bash\n",
  group: "root:x:0:\ndyno:x:1000:\n",
  hosts: "127.0.0.1 localhost\n::1 localhost ip6-localhost\n",
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n",
} as const;

const HELPERS = ["around.pl", "enter.pl", "oci.pl", "first.pl", "join.pl"] as const;

// By its own name: the folder lies elsewhere seen from `src` than from the bundle.
const helpers = join(
  dirname(createRequire(import.meta.url).resolve("@dynokit/driver-sandbox/package.json")),
  "helpers",
);

/** Writes what is missing. The package itself may lie where the users of dynos can't read. */
export function makeHome(settings: Settings): Home {
  const root = settings.users !== undefined;
  const mode = root ? 0o711 : 0o700;
  mkdirSync(settings.stateDirectory, { recursive: true, mode: root ? 0o755 : 0o700 });
  chmodSync(settings.stateDirectory, mode);
  if (root) checkSearchable(settings.stateDirectory);
  const directory = join(settings.stateDirectory, ".sandbox");
  const etc = join(directory, "etc");
  for (const path of [directory, etc]) {
    mkdirSync(path, { recursive: true });
    chmodSync(path, root ? 0o755 : 0o700);
  }
  for (const [name, text] of Object.entries(ETC)) put(join(etc, name), text);
  const resolver = resolverOf(settings, etc);
  const filter = settings.seccomp ? seccompFilter() : undefined;
  if (settings.seccomp && !filter) {
    throw new DriverError(
      "not-supported",
      `There is no list of system calls for ${process.arch}; set the option "seccomp" to false to go without`,
    );
  }
  if (filter) put(join(directory, "filter"), filter);
  for (const name of HELPERS) put(join(directory, name), join(helpers, name), true);
  return {
    enter: join(directory, "enter.pl"),
    oci: join(directory, "oci.pl"),
    first: join(directory, "first.pl"),
    join: join(directory, "join.pl"),
    filter: filter ? join(directory, "filter") : "",
    etc,
    resolver,
    sockets: socketDirectory(settings.stateDirectory, root),
    containers: join(directory, "containers"),
  };
}

/** One for each list of name servers: drivers with other ones may share the directory. */
function resolverOf(settings: Settings, etc: string): string {
  if (settings.egress === "host") return "/etc/resolv.conf";
  const text = (settings.policy?.nameservers ?? [])
    .map((address) => `nameserver ${address}\n`)
    .join("");
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 8);
  const path = join(etc, text === "" ? "resolv.conf" : `resolv.conf.${hash}`);
  put(path, text);
  return path;
}

/** Replaced as a whole: a dyno that starts meanwhile reads the old one or the new. */
function put(path: string, content: string | Buffer, copy = false): void {
  const temporary = `${path}.${process.pid}`;
  if (copy) copyFileSync(content, temporary);
  else writeFileSync(temporary, content);
  chmodSync(temporary, 0o644);
  renameSync(temporary, path);
}

/** The kernel takes 107 bytes for the path of a socket, which a deep state directory uses up. */
function socketDirectory(stateDirectory: string, root: boolean): string {
  let path = join(stateDirectory, ".net");
  if (Buffer.byteLength(path) > 70) {
    const place = createHash("sha256").update(stateDirectory).digest("hex").slice(0, 16);
    path = join(existsSync("/tmp") ? "/tmp" : tmpdir(), `dynokit-net-${place}`);
  }
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const found = lstatSync(path);
  if (!found.isDirectory() || found.uid !== process.getuid?.())
    throw new DriverError("unavailable", `"${path}" belongs to somebody else; remove it`);
  // As root every dyno's user makes its own there, and sees and removes no other's.
  chmodSync(path, root ? 0o1733 : 0o700);
  return path;
}

function checkSearchable(directory: string): void {
  for (let path = directory; path !== dirname(path); path = dirname(path)) {
    if ((statSync(path).mode & 0o001) !== 0) continue;
    throw new DriverError(
      "invalid-spec",
      `The users of dynos can't reach "${directory}": "${path}" is not searchable for all; choose another "stateDirectory"`,
    );
  }
}
