import { rangeInLine } from "../position.ts";
import type { LintContext } from "./lint.ts";
import { isServer } from "./programs.ts";

function noWeb({ entries, report }: LintContext): void {
  if (entries.length === 0 || entries.some(({ entry }) => entry.name === "web")) return;
  report(
    "no-web",
    rangeInLine(1, 0, 0, 0),
    'No process type is named "web": nothing will get HTTP traffic. Name the one that should.',
  );
}

function portable({ entries, report }: LintContext): void {
  for (const { entry } of entries) {
    const { rawName, nameRange } = entry;
    const reason = /[A-Z]/.test(rawName)
      ? "upper case is folded by some tools and kept by others"
      : rawName.includes("_")
        ? '"_" becomes "-" in some tools'
        : /^[0-9]/.test(rawName)
          ? "a leading digit can't begin a variable or a service name"
          : rawName.length > 63
            ? "more than 63 characters are refused by some tools"
            : /^-|-$/.test(rawName)
              ? "a dash at the end is refused by some tools"
              : null;
    if (reason)
      report(
        "non-portable-name",
        nameRange,
        `${rawName.slice(0, 80)}: ${reason}. Use lower-case letters, digits and inner dashes, beginning with a letter.`,
      );
  }
}

const reserved: Readonly<Record<string, string>> = {
  run: 'one-off dynos are named "run"',
  console: '"console" is the name of a one-off command',
  build: '"build" is reserved by Dokku',
};

function reservedName({ entries, report }: LintContext): void {
  for (const { entry, command } of entries) {
    const { name, nameRange } = entry;
    if (name === "release" && isServer(command))
      report(
        "reserved-name",
        nameRange,
        '"release" is run once before each release and must end, but this command is a server. Rename the type.',
      );
    else if (Object.hasOwn(reserved, name))
      report("reserved-name", nameRange, `${reserved[name]}. Rename the type.`);
  }
}

export const nameRules = [noWeb, portable, reservedName];
