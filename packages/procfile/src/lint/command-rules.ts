import type { LintContext, LintedEntry } from "./lint.ts";
import { baseName, serverWords } from "./programs.ts";
import { servers } from "./servers.ts";
import type { Word } from "./words.ts";

type EntryRule = (linted: LintedEntry, context: LintContext) => void;

const webOnly =
  (rule: EntryRule): EntryRule =>
  (linted, context) => {
    if (linted.entry.name === "web") rule(linted, context);
  };

const withoutPort: EntryRule = ({ command, at }, { report }) => {
  const mentions =
    command.variables.some(({ name }) => name === "PORT") ||
    /\$\{?PORT\b/.test(command.text) ||
    serverWords(command).some(({ value }) => servers.get(baseName(value))?.readsPort) ||
    findPort(command.words) !== null;
  if (mentions) return;
  report(
    "web-without-port",
    at(0, command.text.length),
    "Nothing here mentions $PORT, the port that gets the traffic. Pass it to the server, unless the program reads the variable itself.",
  );
};

const hardCodedPort: EntryRule = ({ command, at }, { report }) => {
  const found = findPort(command.words);
  if (found)
    report(
      "hard-coded-port",
      at(found.start, found.end),
      `A port of its own, while the platform chooses one: the dyno is stopped with R10. Write $PORT.`,
    );
};

const portOptions = new Set(["-p", "--port", "--http-port", "--listen-port", "-P"]);

/** The word that fixes a port: an option's value, `host:8080`, `PORT=3000`. */
function findPort(words: readonly Word[]): Word | null {
  for (const [index, word] of words.entries()) {
    const { value } = word;
    if (portOptions.has(value) && /^[0-9]{2,5}$/.test(words[index + 1]?.value ?? ""))
      return words[index + 1]!;
    if (/^(-p|--port=|--http-port=|PORT=|-Dserver\.port=|--server\.port=)[0-9]{2,5}$/.test(value))
      return word;
    // An upstream's address is not what this process listens on.
    const address = value
      .replace(/^-{1,2}[a-z-]{1,20}=/, "")
      .replace(/^(tcp|http|https|ssl):\/\//, "");
    if (
      /^(0\.0\.0\.0|127\.0\.0\.1|localhost|\[::1?\]|\*)?:[0-9]{2,5}\/?$/.test(address.slice(0, 40))
    )
      return word;
  }
  return null;
}

const localhost: EntryRule = ({ command, at }, { report }) => {
  for (const match of command.text.matchAll(/127\.0\.0\.1|\blocalhost\b/g))
    report(
      "bind-localhost",
      at(match.index, match.index + match[0].length),
      `${match[0]} can't be reached from the router: the dyno is stopped with R10. Bind 0.0.0.0 or [::].`,
    );
};

const background: EntryRule = ({ command, at }, { report }) => {
  const advice =
    "the main process ends at once, which counts as a crash. Run it in the foreground, and a second one as a type of its own.";
  const { text, words } = command;
  const trimmed = text.trimEnd();
  if (/(^|[^&\\])&$/.test(trimmed.slice(-2)))
    report(
      "background-process",
      at(trimmed.length - 1, trimmed.length),
      `A trailing "&": ${advice}`,
    );
  const program = words.find(({ value }) => servers.get(baseName(value))?.daemon);
  const options = program ? (servers.get(baseName(program.value))?.daemon ?? []) : [];
  for (const { value, start, end } of words) {
    const name = value.split("=", 1)[0]!;
    if (
      baseName(value) === "nohup" ||
      name === "--daemon" ||
      name === "--daemonize" ||
      options.includes(value)
    )
      report("background-process", at(start, end), `${name}: ${advice}`);
  }
};

const inlineComment: EntryRule = ({ command, at }, { report }) => {
  const match = /[ \t](#|\/\/)([ \t]|$)|[ \t]#/.exec(command.text);
  if (!match) return;
  report(
    "inline-comment",
    at(match.index + 1, command.text.length),
    "Comments have a line of their own. This is part of the command, and procfile-util cuts it off: move it above the line.",
  );
};

const isComment: EntryRule = ({ command, at }, { report }) => {
  if (command.text.startsWith("#"))
    report(
      "command-is-comment",
      at(0, command.text.length),
      'The command begins with "#", so the shell does nothing. Put the "#" first in the line to make it a comment.',
    );
};

const unbalanced: EntryRule = ({ command, at }, { report }) => {
  const { openQuote } = command;
  if (openQuote !== -1)
    report(
      "unbalanced-quote",
      at(openQuote, openQuote + 1),
      "This quote never ends: the dyno would fail when it starts. Close it.",
    );
};

const continuation: EntryRule = ({ command, at }, { report }) => {
  const { text } = command;
  let slashes = 0;
  while (text[text.length - 1 - slashes] === "\\") slashes++;
  if (slashes % 2 === 1)
    report(
      "line-continuation",
      at(text.length - 1, text.length),
      "A backslash at the end: lines are never joined in a Procfile. Write the command on one line, or move it to a script.",
    );
};

const cdWithoutExec: EntryRule = ({ command, at }, { report }) => {
  const { words, text } = command;
  const [first, target] = words;
  if (first?.value !== "cd" || !target) return;
  if (!/^\s*(&&|;)/.test(text.slice(target.end, target.end + 80))) return;
  if (words.some(({ value }) => value === "exec")) return;
  report(
    "cd-without-exec",
    at(0, target.end),
    'The shell stays in between and gets the signals instead of the program. Write "exec" before the last command.',
  );
};

const shells = new Set(["sh", "bash", "dash", "zsh", "ksh"]);

const shellWrapper: EntryRule = ({ command, at }, { report }) => {
  const { words } = command;
  const [shell, argument, script] = words;
  if (!shell || !shells.has(baseName(shell.value)) || !argument) return;
  const inline = /^-[a-z]*c$/.test(argument.value);
  if (inline && /(^|[\s;&])exec\s/.test(script?.value ?? "")) return;
  report(
    "shell-wrapper",
    at(shell.start, argument.end),
    inline
      ? 'A second shell gets the signals instead of the program. Leave it out, or write "exec" inside.'
      : 'The shell gets the signals instead of what the script starts. Write "exec" before the script\'s last command, and call the script itself.',
  );
};

const sudo: EntryRule = ({ command, at }, { report }) => {
  for (const { value, start, end } of command.words)
    if (value === "sudo")
      report(
        "sudo",
        at(start, end),
        "There is no sudo in a dyno, and no other user. Leave it out.",
      );
};

const secretName = /(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)$/i;
const knownSecret =
  /^(sk_live_|rk_live_|ghp_|gho_|github_pat_|glpat-|xox[bpars]-|AKIA|HRKU-|SG\.)[A-Za-z0-9_.-]{8}/;

const secrets: EntryRule = ({ command, at }, { report }) => {
  for (const [index, { value, start, end }] of command.words.entries()) {
    const equals = value.indexOf("=");
    const name = value.slice(0, Math.max(0, equals)).replace(/^-+/, "");
    const given = equals === -1 ? value : value.slice(equals + 1);
    const previous = equals === -1 ? (command.words[index - 1]?.value ?? "") : "";
    const named =
      (equals > 0 && secretName.test(name.slice(-40))) ||
      (previous.startsWith("--") && secretName.test(previous.slice(-40)));
    // A path or a variable is a reference to a secret, not one.
    const literal = given !== "" && !/[$/]/.test(given[0]!) && !given.startsWith("-");
    const inUrl = /^[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:@/$]{0,80}:[^\s@/$]{1,200}@/i.test(
      given.slice(0, 320),
    );
    if ((named && literal) || inUrl || knownSecret.test(given))
      report(
        "secrets-in-command",
        at(start, end),
        `${name && named ? `The value of ${name.slice(0, 40)}` : "This"} looks like a secret, which would end in logs and in ps. Make it a config var and write $NAME.`,
      );
  }
};

const unknownVariable: EntryRule = ({ command, at }, { report, knownVariables }) => {
  if (!knownVariables) return;
  const assigned = new Set(
    command.words.flatMap(({ value }) => /^([A-Za-z_][A-Za-z0-9_]*)=/.exec(value)?.[1] ?? []),
  );
  for (const { name, start, end, guarded } of command.variables)
    if (!guarded && !knownVariables.has(name) && !assigned.has(name))
      report(
        "unknown-var",
        at(start, end),
        `$${name.slice(0, 80)} is set neither in the .env file nor by the platform. Set it, or write \${${name.slice(0, 80)}:-default}.`,
      );
};

const rules: readonly EntryRule[] = [
  webOnly(withoutPort),
  webOnly(hardCodedPort),
  webOnly(localhost),
  background,
  inlineComment,
  isComment,
  unbalanced,
  continuation,
  cdWithoutExec,
  shellWrapper,
  sudo,
  secrets,
  unknownVariable,
];

export const commandRules = [
  (context: LintContext): void => {
    for (const linted of context.entries) for (const rule of rules) rule(linted, context);
  },
];
