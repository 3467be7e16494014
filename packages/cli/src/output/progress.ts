import type { Terminal } from "./terminal.ts";

/** A bar on standard error; in a pipe there is none. */
export function progressBar(
  terminal: Terminal,
  label: string,
  total: number,
): { add(count: number): void; end(): void } {
  if (process.stderr.isTTY !== true) return { add() {}, end() {} };
  let done = 0;
  let shown = -1;
  return {
    add(count) {
      done += count;
      const percent = total === 0 ? 100 : Math.floor((done * 100) / total);
      if (percent === shown) return;
      shown = percent;
      const filled = Math.floor(percent / 4);
      const bar =
        terminal.colour.cyan("█".repeat(filled)) + terminal.colour.dim("░".repeat(25 - filled));
      process.stderr.write(`\r${label} ${bar} ${percent} %`);
    },
    end() {
      process.stderr.write("\n");
    },
  };
}
