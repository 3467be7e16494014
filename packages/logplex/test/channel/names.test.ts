import { expect, test } from "vitest";
import { formatLine, Logplex } from "../../src/index.ts";

test("names that a writer in this process gives can't pass for another's or for another line", async () => {
  const logplex = new Logplex();
  const channel = logplex.channel("a");
  const names: [source: string, proc: string, shown?: string][] = [
    ["app", "web.1", "app[web.1]: x"],
    ["app", "run:bash/1", "app[run:bash/1]: x"],
    ["app", "x]: forged\n2026-03-14T09:26:53+00:00 heroku[router"],
    ["heroku[router]: at=info ", ""],
    ["app", "a b\t\x1b[2K\u2028☕", "app[a_b___2K__]: x"],
    ["app", "x".repeat(500), `app[${"x".repeat(128)}]: x`],
  ];
  for (const [source, proc] of names)
    await channel.write({ source, proc, lines: [Buffer.from("x")], at: 0 });
  const shown = channel.history().map((message) => formatLine(message));
  for (const [index, line] of shown.entries()) {
    expect(line).toMatch(/^\S+ [\x21-\x5a\x5e-\x7e]+(\[[\x21-\x5a\x5e-\x7e]+\])?: x\n$/);
    const wanted = names[index]?.[2];
    if (wanted !== undefined) expect(line.slice(line.indexOf(" ") + 1)).toBe(`${wanted}\n`);
  }
  expect(shown).toHaveLength(names.length);
  await logplex.close();
});
