import { expect, test } from "vitest";
import { createProgram } from "../src/program.ts";
import { cliReference } from "./support/reference.ts";

test("docs/reference/cli.md is what the command tree says (write it with vitest -u)", async () => {
  const program = createProgram({ terminal: {} } as Parameters<typeof createProgram>[0], "1.0.0");
  await expect(cliReference(program)).toMatchFileSnapshot("../../../docs/reference/cli.md");
});
