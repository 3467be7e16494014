import { spawn } from "node:child_process";
import { once } from "node:events";
import { cleanEnv, command } from "./cli-process.ts";

/** A program of python's that gives the command a terminal and plays its part. */
const terminal = `
import os, pty, sys, re, time, select, json, fcntl, termios, struct
steps = json.loads(sys.argv[1]); argv = sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
    os.execvp(argv[0], argv)
seen = b""
def read():
    global seen
    try: chunk = os.read(fd, 65536)
    except OSError: return False
    seen += chunk
    return bool(chunk)
for wanted, typed in steps:
    while not re.search(wanted.encode(), seen):
        if not read(): break
    seen = re.split(wanted.encode(), seen, maxsplit=1)[-1] if re.search(wanted.encode(), seen) else seen
    os.write(fd, typed.encode())
rest = b""
while read(): pass
_, status = os.waitpid(pid, 0)
print(json.dumps({"status": os.waitstatus_to_exitcode(status), "rest": seen.decode("utf8", "replace")}))
`;

/**
 * Runs the command in a terminal of 111 by 33: each step waits for a pattern and types something.
 * `rest` is what came after the last pattern.
 */
export async function inTerminal(
  env: Readonly<Record<string, string>>,
  steps: readonly [wanted: string, typed: string][],
  args: readonly string[],
  cwd = process.cwd(),
): Promise<{ status: number; rest: string }> {
  const child = spawn("python3", ["-c", terminal, JSON.stringify(steps), ...command, ...args], {
    env: { ...cleanEnv(env), TERM: "xterm", NO_COLOR: "" },
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  await once(child, "close");
  return JSON.parse(text.trim().split("\n").at(-1) as string) as { status: number; rest: string };
}
