// An image without a registry: this machine's Node and shell with what they need, given to the engine.
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";

/** The dynos' image when none is given. */
export const hostImage = `dynokit-host:node-${process.versions.node}`;

// What start scripts commonly call; those that this machine lacks are left out.
const programs =
  "sh bash env cat ls cp mv rm mkdir ln chmod touch head tail wc sort tr cut grep sed find tar gzip date sleep " +
  "dirname basename readlink id kill ps stty uname true false test printf tee xargs hostname";

function call(socketPath, method, path, body) {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path }, (incoming) => {
      let text = "";
      incoming.on("data", (chunk) => {
        text += chunk;
      });
      incoming.on("end", () => resolve({ status: incoming.statusCode, text }));
      incoming.on("error", reject);
    });
    outgoing.on("error", reject);
    if (body) body.pipe(outgoing);
    else outgoing.end();
  });
}

/** Whether the engine has an image. */
export async function hasImage(socketPath, name) {
  const { status } = await call(socketPath, "GET", `/images/${encodeURIComponent(name)}/json`);
  return status === 200;
}

/** Makes `hostImage` from this machine. */
export async function makeHostImage(socketPath) {
  const root = mkdtempSync(join(tmpdir(), "dynokit-image-"));
  try {
    for (const folder of ["usr/bin", "usr/lib", "app", "proc", "sys", "dev", "tmp", "etc", "root"])
      mkdirSync(join(root, folder), { recursive: true });
    symlinkSync("usr/bin", join(root, "bin"));
    chmodSync(join(root, "tmp"), 0o1777);
    chmodSync(join(root, "app"), 0o777);
    const folders = (process.env.PATH ?? "").split(delimiter);
    for (const name of programs.split(" ")) {
      const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
      if (found) copyWithLibraries(root, found, `usr/bin/${name}`);
    }
    copyWithLibraries(root, process.execPath, "usr/bin/node");
    if (existsSync("/etc/ssl/certs/ca-certificates.crt"))
      cpSync("/etc/ssl/certs/ca-certificates.crt", join(root, "etc/ssl/certs/ca-certificates.crt"));
    writeFileSync(
      join(root, "etc/passwd"),
      "root:x:0:0::/root:/bin/sh\ndyno:x:1000:1000::/app:/bin/sh\n",
    );
    const tar = spawn("tar", ["-c", "--owner=0", "--group=0", "-C", root, "."], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [repo, tag] = hostImage.split(":");
    const { status, text } = await call(
      socketPath,
      "POST",
      `/images/create?fromSrc=-&repo=${repo}&tag=${tag}`,
      tar.stdout,
    );
    if (status !== 200 || text.includes('"error"'))
      throw new Error(`The engine does not take an image of this machine: ${text.trim()}`);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Libraries keep their paths, at which the loader looks for them. */
function copyWithLibraries(root, path, target) {
  copyFileSync(realpathSync(path), join(root, target));
  chmodSync(join(root, target), 0o755);
  let needed = "";
  try {
    needed = execFileSync("ldd", [path], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    // A static program, or a script.
  }
  for (const [, library] of needed.matchAll(/(?:=> )?(\/\S+)/g)) {
    const place = join(root, library);
    if (existsSync(place)) continue;
    mkdirSync(dirname(place), { recursive: true });
    copyFileSync(realpathSync(library), place);
    chmodSync(place, 0o755);
  }
}
