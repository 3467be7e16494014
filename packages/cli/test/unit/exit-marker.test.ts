import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ExitMarker, withExitMarker } from "../../src/run/exit-marker.ts";

/** What a shell prints for the wrapped command, and what is left after the marker was taken out. */
function through(command: string): { text: string; status: number | undefined } {
  const { stdout: output } = spawnSync("bash", ["-c", withExitMarker(command)], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const marker = new ExitMarker();
  const shown = Buffer.concat([marker.push(output), marker.flush()]);
  return { text: shown.toString(), status: marker.status };
}

test.each([
  ["echo hi", "hi\n", 0],
  ["exit 3", "", 3],
  ["printf 'no newline'; false", "no newline", 1],
  ["echo a # a comment", "a\n", 0],
  ["nosuchprogram", "", 127],
  ["kill -TERM $BASHPID", "", 143],
])("%s has the status %s", (command, text, status) => {
  expect(through(command)).toEqual({ text, status });
});

test("wherever the output is cut, the same bytes and the status come out", () => {
  const line = Buffer.from("\uffff heroku-command-exit-status: 42\r\n");
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      fc.boolean(),
      (bytes, sizes, marked) => {
        const whole = Buffer.concat([bytes, marked ? line : Buffer.alloc(0)]);
        const marker = new ExitMarker();
        const out: Buffer[] = [];
        for (let at = 0, turn = 0; at < whole.length; turn++) {
          const size = sizes[turn % sizes.length] as number;
          out.push(marker.push(whole.subarray(at, at + size)));
          at += size;
        }
        out.push(marker.flush());
        expect(Buffer.concat(out).equals(Buffer.from(bytes))).toBe(true);
        expect(marker.status).toBe(marked ? 42 : undefined);
      },
    ),
  );
});

test("text that only begins like the marker passes", () => {
  const marker = new ExitMarker();
  const text = "\uffff heroku-command-exit-status: many words\n";
  const shown = Buffer.concat([marker.push(Buffer.from(text)), marker.flush()]);
  expect(shown.toString()).toBe(text);
  expect(marker.status).toBeUndefined();
});
