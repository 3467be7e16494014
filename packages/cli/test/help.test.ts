import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { createProgram } from "../src/program.ts";
import { runCli } from "./support/in-process.ts";

const context = {} as Parameters<typeof createProgram>[0];
function every(parent: Command, before: string[] = []): string[][] {
  return parent.commands.flatMap((command) => {
    const path = [...before, command.name()];
    return [path, ...every(command, path)];
  });
}
const program = createProgram({ ...context, terminal: {} as never }, "1.0.0");
const commands = every(program);

describe("help", () => {
  test.each(commands.map((path) => [path.join(" "), path] as const))("%s", async (name, path) => {
    const { code, out, err } = await runCli([...path, "--help"], {});
    expect(code).toBe(0);
    expect(err).toBe("");
    expect(out).toMatch(new RegExp(`^Usage: dynokit ${name}`));
    // A sentence of its own for every command and every option.
    expect(out.split("\n")[2]).not.toBe("");
    for (const line of out.matchAll(/^ {2}(-[^\n]*)$/gm)) expect(line[1]).toMatch(/ {2,}\S/);
  });

  test("version", async () => {
    expect(await runCli(["--version"], {})).toEqual({ code: 0, out: "9.9.9\n", err: "" });
  });
});
