import { readFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import { CliError } from "../errors.ts";

/**
 * The certificates to trust: those of Node.js (with `NODE_EXTRA_CA_CERTS`, which Node.js reads by
 * itself) when no authority is named, else Node's built-in ones and the platform's.
 */
export function trusted(authority: string | undefined): string[] | undefined {
  return authority === undefined ? undefined : [...rootCertificates, authority];
}

/** The text of a PEM file. @throws CliError `usage` when it has no certificate. */
export function readAuthority(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new CliError(
      "usage",
      `The CA file ${path} cannot be read (${(cause as NodeJS.ErrnoException).code}): give the path of a PEM file.`,
      { cause },
    );
  }
  if (!text.includes("-----BEGIN CERTIFICATE-----"))
    throw new CliError("usage", `${path} holds no certificate in PEM form.`);
  return text;
}
