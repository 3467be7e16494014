import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { examples } from "../src/help/examples.ts";
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
const optionsOf = (name: string) =>
  name
    .split(" ")
    .reduce<Command>(
      (parent, word) => parent.commands.find((one) => one.name() === word) as Command,
      program,
    )
    .options.map(({ long }) => long);

const byText = (a: string, b: string) => a.localeCompare(b);

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

  test("the general page shows each topic once, below a heading, and fits a screen", async () => {
    const { out } = await runCli(["--help"], {});
    expect(out).toMatch(/^Apps:\n {2}access /m);
    expect(out).not.toMatch(/^ {2}domains:add/m);
    expect(out).not.toMatch(/^More:/m);
    expect(out.split("\n").length).toBeLessThan(85);
  });

  test("a topic's page names the commands of the topic", async () => {
    const { out } = await runCli(["domains", "--help"], {});
    expect(out).toMatch(/Commands of this topic:\n {2}domains:add +add a domain/);
  });

  test("`commands` lists all, as a table and as JSON", async () => {
    const json = JSON.parse((await runCli(["commands", "--json"], {})).out) as { name: string }[];
    expect(json.map(({ name }) => name).toSorted(byText)).toEqual(
      commands.map((path) => path.join(" ")).toSorted(byText),
    );
    expect((await runCli(["commands"], {})).out).toMatch(/^ps:scale, scale +show or change/m);
  });

  test("every example is a command line that is understood", () => {
    expect(Object.keys(examples).toSorted(byText)).toEqual(
      commands.map((path) => path.join(" ")).toSorted(byText),
    );
    for (const [name, lines] of Object.entries(examples))
      for (const line of lines) {
        expect(line.startsWith(name), line).toBe(true);
        const command = name
          .split(" ")
          .reduce<Command>(
            (parent, word) => parent.commands.find((one) => one.name() === word) as Command,
            program,
          );
        // What is after `--` belongs to the command that runs elsewhere.
        const flags =
          line
            .replaceAll(/'[^']*'/g, "")
            .split(" -- ")[0]
            ?.match(/ --?[a-z-]+/g) ?? [];
        for (const flag of flags)
          expect(
            command.options.some(({ long, short }) => [long, short].includes(flag.trim())),
            `${line} has ${flag}`,
          ).toBe(true);
      }
  });

  test("what prints data can print it as JSON", () => {
    const without = commands
      .map((path) => path.join(" "))
      .filter((name) => !optionsOf(name).includes("--json"));
    // These hand over a stream, a terminal, a script or a secret as it is.
    expect(without.toSorted(byText)).toEqual([
      "auth:token",
      "completion",
      "local",
      "local attach",
      "local logs",
      "run",
      "run:inside",
    ]);
  });

  test.each([
    ["scael", /Did you mean scale\?/],
    ["config:st", /Did you mean config:set\?/],
    ["domains:ad", /Did you mean domains:add\?/],
    ["ps --jsno", /Did you mean --json\?/],
  ])("a typing error in %s gets a suggestion and status 2", async (line, said) => {
    const { code, out, err } = await runCli(line.split(" "), {});
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(said);
    expect(err).not.toMatch(/^ +at /m);
  });

  test("version", async () => {
    expect(await runCli(["--version"], {})).toEqual({ code: 0, out: "9.9.9\n", err: "" });
  });
});
