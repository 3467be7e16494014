import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { commands } from "../src/cli/specs.ts";
import {
  diagnosticTable,
  envDiagnosticTable,
  envPrecedence,
  exportTargets,
  formationDiagnosticTable,
  lintTable,
  peers,
  procfileErrorCodes,
} from "../src/index.ts";

const page = fileURLToPath(new URL("../../../docs/reference/procfile.md", import.meta.url));

function table(head: readonly string[], rows: readonly (readonly (string | null)[])[]): string {
  const line = (cells: readonly (string | null)[]) =>
    `| ${cells.map((cell) => (cell ?? "–").replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const code = (text: string) => `\`${text}\``;

// Everything on the page that the code already says.
const generated: Record<string, string> = {
  diagnostics: table(
    ["Code", "`heroku`", "`lenient`", "Meaning", "Fix"],
    Object.entries(diagnosticTable).map(([name, row]) => [
      code(name),
      row.heroku,
      row.lenient,
      row.meaning,
      row.fix,
    ]),
  ),
  lint: table(
    ["Rule", "Severity", "Reports", "Fix"],
    Object.entries(lintTable).map(([name, row]) => [
      code(name),
      row.severity,
      row.meaning,
      row.fix,
    ]),
  ),
  env: table(
    ["Code", "Severity", "Meaning", "Fix"],
    Object.entries(envDiagnosticTable).map(([name, row]) => [
      code(name),
      row.severity,
      row.meaning,
      row.fix,
    ]),
  ),
  precedence: table(
    ["Tool", "Winner", "Files"],
    Object.entries(envPrecedence).map(([name, row]) => [name, row.winner, row.files]),
  ),
  formation: table(
    ["Code", "Meaning"],
    Object.entries(formationDiagnosticTable).map(([name, meaning]) => [code(name), meaning]),
  ),
  peers: table(
    ["Name", "Tool", "Same name twice", "No entries"],
    Object.entries(peers).map(([name, peer]) => [
      code(name),
      peer.title,
      peer.duplicates,
      peer.empty,
    ]),
  ),
  errors: table(
    ["Code", "Thrown when"],
    Object.entries(procfileErrorCodes).map(([name, meaning]) => [code(name), meaning]),
  ),
  commands: table(
    ["Command", "Does"],
    commands.map(({ name, usage, summary }) => [code(`procfile ${name} ${usage}`.trim()), summary]),
  ),
  targets: exportTargets.map(code).join(", "),
};

const marker = (name: string) => new RegExp(`<!-- generated: ${name} -->\\n[\\s\\S]*?<!-- end -->`);
const section = (name: string, body: string) =>
  `<!-- generated: ${name} -->\n${body}\n<!-- end -->`;

if (process.env["UPDATE_DOCS"]) {
  let text = readFileSync(page, "utf8");
  for (const [name, body] of Object.entries(generated))
    text = text.replace(marker(name), () => section(name, body));
  writeFileSync(page, text);
}

test.each(Object.entries(generated))(
  "the page's %s are those of the code (UPDATE_DOCS=1 writes them)",
  (name, body) => {
    const text = readFileSync(page, "utf8");
    const found = marker(name).exec(text)?.[0];
    expect(found).toBe(section(name, body));
  },
);
