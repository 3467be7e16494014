import { ProcfileError } from "../errors.ts";

/** A word for any POSIX shell. */
export function shellQuote(value: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

/** A double-quoted systemd word: C escapes, and `%` doubled because it begins a specifier. */
export function systemdQuote(value: string): string {
  const escaped = value.replaceAll(/[\\"%\0-\x1f\x7f]/g, (character) => {
    if (character === "\\" || character === '"') return `\\${character}`;
    if (character === "%") return "%%";
    if (character === "\n") return "\\n";
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return `"${escaped}"`;
}

/** Text of a plist or any XML element. */
export function xmlText(value: string): string {
  if (/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(value))
    throw new ProcfileError(
      "invalid-option",
      "A command or variable holds a control character, which XML can't. Remove it.",
    );
  return value.replaceAll(/[&<>"'\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** A JSON string that is also a YAML 1.1 and 1.2 double-quoted scalar. */
export function yamlString(value: string): string {
  return JSON.stringify(value.replaceAll(/\p{Surrogate}/gu, "\ufffd")).replaceAll(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A string of HCL2, whose templates begin with `${` and `%{`. */
export function hclString(value: string): string {
  return JSON.stringify(value)
    .replaceAll(/\$\{/g, "$$$${")
    .replaceAll(/%\{/g, "%%{")
    .replaceAll(/\\(.)/g, (sequence, letter) =>
      letter === "b" ? "\\u0008" : letter === "f" ? "\\u000c" : sequence,
    );
}

/** A value for an ini file whose values may hold neither line ends nor both kinds of quotes. */
export function printfEscaped(value: string): string {
  let escaped = "";
  for (const byte of new TextEncoder().encode(value)) {
    const character = String.fromCharCode(byte);
    escaped += /[A-Za-z0-9_.:/@,=+-]/.test(character)
      ? character
      : `\\0${byte.toString(8).padStart(3, "0")}`;
  }
  return escaped;
}

/** Shell text that turns a {@link printfEscaped} variable back; the `_` saves trailing line ends. */
export function printfDecoder(name: string): string {
  return `${name}=$(printf '%b_' "$${name}"); ${name}=\${${name}%_}; export ${name}; `;
}
