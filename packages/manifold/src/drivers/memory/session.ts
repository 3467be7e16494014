import type { DriverSession } from "../../driver/contract.ts";
import type { MemoryDyno } from "./dyno.ts";

type Output = { readonly stream: "stdout" | "stderr"; readonly bytes: Uint8Array };

/** A client of a memory dyno: what it writes comes back through the script's `respond`. */
export function memorySession(dyno: MemoryDyno): DriverSession {
  const queue: Output[] = [];
  let wake: (() => void) | undefined;
  let closed = false;
  const finish = () => {
    closed = true;
    wake?.();
  };
  void dyno.exited.then(finish);
  return {
    output: (async function* () {
      for (;;) {
        const next = queue.shift();
        if (next) yield next;
        else if (closed) return;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    })(),
    async write(bytes) {
      const text = new TextDecoder().decode(bytes);
      const answer = dyno.script.respond?.(text) ?? text;
      queue.push({ stream: "stdout", bytes: new TextEncoder().encode(answer) });
      wake?.();
    },
    async end() {
      dyno.end(dyno.script.exitCode ?? 0, null);
    },
    async resize() {},
    async signal(name) {
      dyno.signal(name);
    },
    wait: () => dyno.exited,
    async close() {
      if (!closed) dyno.signal("SIGHUP");
      finish();
    },
  };
}

/** A command in a memory dyno: its whole output and its status, as the script has them. */
export function memoryExec(dyno: MemoryDyno, argv: readonly string[], now: number): DriverSession {
  const { output, exitCode } = dyno.script.exec?.(argv) ?? { output: "", exitCode: 0 };
  return {
    output: (async function* () {
      if (output !== "")
        yield { stream: "stdout" as const, bytes: new TextEncoder().encode(output) };
    })(),
    async write() {},
    async end() {},
    async resize() {},
    async signal() {},
    wait: async () => ({ exitCode, signal: null, oomKilled: false, startedAt: now, endedAt: now }),
    async close() {},
  };
}
