import { type Diagnostic, diagnosticTable } from "../diagnostic.ts";
import { lintTable } from "../lint/table.ts";
import { codeFrame, type Paint } from "./frame.ts";

/** A file's findings in one of the formats of `check`. */
export function report(
  format: string,
  path: string,
  text: string,
  found: readonly Diagnostic[],
  paint: Paint,
): string {
  if (format === "json") return `${JSON.stringify(jsonReport(path, found), null, 2)}\n`;
  if (format === "github") return found.map((diagnostic) => github(path, diagnostic)).join("");
  if (format === "sarif") return `${JSON.stringify(sarif(path, found), null, 2)}\n`;
  return found.map((diagnostic) => `${codeFrame(path, text, diagnostic, paint)}\n\n`).join("");
}

function jsonReport(path: string, diagnostics: readonly Diagnostic[]) {
  return { file: path, ok: !diagnostics.some(({ severity }) => severity === "error"), diagnostics };
}

/** A workflow command of GitHub Actions, which becomes an annotation. */
function github(path: string, { code, severity, message, range }: Diagnostic): string {
  const data = (value: string) =>
    value.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
  const property = (value: string) => data(value).replaceAll(":", "%3A").replaceAll(",", "%2C");
  const level = severity === "info" ? "notice" : severity;
  const { start, end } = range;
  const place = `file=${property(path)},line=${start.line},endLine=${end.line},col=${start.column},endColumn=${end.column}`;
  return `::${level} ${place},title=${property(code)}::${data(message)}\n`;
}

/** SARIF 2.1.0, as code scanning services read it. */
function sarif(path: string, found: readonly Diagnostic[]) {
  const known: Record<string, { meaning: string }> = { ...diagnosticTable, ...lintTable };
  const rules = [...new Set(found.map(({ code }) => code))];
  const region = ({ start, end }: Diagnostic["range"]) => ({
    startLine: start.line,
    startColumn: start.column,
    endLine: end.line,
    endColumn: end.column,
  });
  const artifactLocation = { uri: path.split("/").map(encodeURIComponent).join("/") };
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "procfile",
            informationUri: "https://github.com/dynokit/dynokit",
            rules: rules.map((id) => ({
              id,
              shortDescription: { text: known[id]?.meaning ?? id },
            })),
          },
        },
        columnKind: "utf16CodeUnits",
        results: found.map(({ code, severity, message, range, fix }) => ({
          ruleId: code,
          ruleIndex: rules.indexOf(code),
          level: severity === "info" ? "note" : severity,
          message: { text: message },
          locations: [{ physicalLocation: { artifactLocation, region: region(range) } }],
          ...(fix
            ? {
                fixes: [
                  {
                    artifactChanges: [
                      {
                        artifactLocation,
                        replacements: [
                          {
                            deletedRegion: region(fix.range),
                            insertedContent: { text: fix.newText },
                          },
                        ],
                      },
                    ],
                  },
                ],
              }
            : {}),
        })),
      },
    ],
  };
}
