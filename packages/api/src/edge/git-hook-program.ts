/** Refs of one push. */
export const maxUpdates = 10_000;

/**
 * What the pre-receive hook runs: it tells the server over a UNIX socket which references the
 * push changes, prints what comes back and ends with the status it is told. Written into the
 * data directory, because a bundled package has no file of its own for it.
 *
 * Answer frames: a byte `o` (output) or `x` (exit), a 32-bit length, the payload.
 */
export const hookProgram = `import { connect } from "node:net";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const { DYNOKIT_GIT_SOCKET, DYNOKIT_GIT_TOKEN, GIT_OBJECT_DIRECTORY, GIT_ALTERNATE_OBJECT_DIRECTORIES } =
  process.env;
const updates = readFileSync(0, "utf8")
  .split("\\n")
  .filter((line) => line !== "")
  .map((line) => {
    const [from, to, ...ref] = line.split(" ");
    return { from, to, ref: ref.join(" ") };
  });
if (updates.length > ${maxUpdates}) {
  console.log(" !     At most ${maxUpdates} refs can be pushed at once.");
  process.exit(1);
}
const absolute = (paths) => paths?.split(":").map((path) => resolve(path)).join(":");
const socket = connect(DYNOKIT_GIT_SOCKET);
let status = 1;
let deaf = false;
let rest = Buffer.alloc(0);
socket.on("connect", () => {
  socket.write(
    JSON.stringify({
      token: DYNOKIT_GIT_TOKEN,
      updates,
      objectDirectory: absolute(GIT_OBJECT_DIRECTORY),
      alternateObjectDirectories: absolute(GIT_ALTERNATE_OBJECT_DIRECTORIES),
    }) + "\\n",
  );
});
socket.on("data", (chunk) => {
  rest = Buffer.concat([rest, chunk]);
  while (rest.length >= 5) {
    const length = rest.readUInt32BE(1);
    if (rest.length < 5 + length) return;
    const payload = rest.subarray(5, 5 + length);
    if (rest[0] === 0x78) status = payload[0] ?? 1;
    else if (!deaf && !process.stdout.write(payload)) {
      socket.pause();
      process.stdout.once("drain", () => socket.resume());
    }
    rest = rest.subarray(5 + length);
  }
});
// The client may be gone; the build goes on to its end all the same.
process.stdout.on("error", () => {
  deaf = true;
  socket.resume();
});
socket.on("error", (error) => {
  console.error("The platform can't be reached: " + error.code);
});
socket.on("close", () => {
  process.exitCode = status;
});
`;

/**
 * The hook itself, freed of the bound of git's memory, which the program reserves more
 * than: git looks for a file of this name that can be executed.
 */
export function hookScript(node: string, program: string): string {
  return `#!/bin/sh\nulimit -S -v unlimited 2>/dev/null\nexec ${quote(node)} ${quote(program)}\n`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
