/** What {@link findProcfile} says about a name that is not the right one. */
export type LookupCode = "wrong-case" | "extension" | "sub-directory" | "missing";

/** One finding, with the path it is about. */
export interface LookupDiagnostic {
  readonly code: LookupCode;
  readonly severity: "error" | "warning";
  readonly path: string;
  readonly message: string;
}

/** What {@link findProcfile} returns. */
export interface LookupResult {
  /** The path of the Procfile, exactly as it was listed; absent when there is none. */
  readonly path?: string;
  readonly diagnostics: readonly LookupDiagnostic[];
}

const extensions = /^procfile\.(txt|md|yml|yaml|json|rtf|doc|docx|text)$/i;

/**
 * Finds the Procfile among the paths of a source tree, relative to its root, and explains a near
 * miss: `procfile`, `Procfile.txt`, a Procfile in a sub-directory (spec/procfile.md §1 rule 1).
 * Reads no disk. Near misses are errors while the root has no Procfile.
 */
export function findProcfile(paths: Iterable<string>): LookupResult {
  let found: string | undefined;
  const near: Omit<LookupDiagnostic, "severity">[] = [];
  for (const path of paths) {
    const parts = path
      .replaceAll("\\", "/")
      .split("/")
      .filter((part) => part !== "" && part !== ".");
    const file = parts.at(-1) ?? "";
    const nested = parts.length > 1;
    if (file === "Procfile" && !nested) found ??= path;
    else if (nested && file === "Procfile")
      near.push({
        code: "sub-directory",
        path,
        message: `${path} is not in the root directory, where it is looked for. Move it there, or deploy that directory.`,
      });
    else if (!nested && file.toLowerCase() === "procfile")
      near.push({
        code: "wrong-case",
        path,
        message: `${path} must be spelt "Procfile", with a capital P and the rest in lower case. Rename it.`,
      });
    else if (!nested && extensions.test(file))
      near.push({
        code: "extension",
        path,
        message: `${path} has an extension, so it is not found. Rename it to "Procfile".`,
      });
  }
  if (found !== undefined)
    return {
      path: found,
      // A second Procfile deeper down is nobody's mistake; a misspelt twin may be.
      diagnostics: near
        .filter(({ code }) => code !== "sub-directory")
        .map((finding) => ({ ...finding, severity: "warning" })),
    };
  if (near.length === 0)
    near.push({
      code: "missing",
      path: "Procfile",
      message:
        'There is no Procfile. Write one in the root directory, with a line such as "web: node server.js".',
    });
  return { diagnostics: near.map((finding) => ({ ...finding, severity: "error" })) };
}
