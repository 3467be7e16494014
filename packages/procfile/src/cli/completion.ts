import { exportTargets } from "../export/export.ts";
import { commands, typeCommands } from "./specs.ts";

const names = commands.map(({ name }) => name);
const flags = (name: string) => [
  "--help",
  ...Object.keys(commands.find((command) => command.name === name)?.options ?? {}).map(
    (flag) => `--${flag}`,
  ),
];

/** A script that completes verbs, options, process types and targets. */
export function completionScript(shell: string): string | null {
  if (shell === "bash") return bash();
  if (shell === "zsh") return zsh();
  if (shell === "fish") return fish();
  return null;
}

function bash(): string {
  const cases = names.map((name) => `    ${name}) words="${flags(name).join(" ")}" ;;`).join("\n");
  return `_procfile() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" verb="\${COMP_WORDS[1]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${names.join(" ")} --help --version" -- "$cur"))
    return
  fi
  if [ "$COMP_CWORD" -eq 2 ] && [ "\${cur#-}" = "$cur" ]; then
    case "$verb" in
    ${typeCommands.join("|")}) words="$(procfile list 2>/dev/null)" ;;
    export) words="${exportTargets.join(" ")}" ;;
    completion) words="bash zsh fish" ;;
    *) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    return
  fi
  case "$verb" in
${cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur") $(compgen -f -- "$cur"))
}
complete -F _procfile procfile
`;
}

function zsh(): string {
  const verbs = commands
    .map(({ name, summary }) => `    '${name}:${summary.replaceAll("'", "")}'`)
    .join("\n");
  const cases = names
    .map((name) => `    ${name}) compadd -- ${flags(name).join(" ")} ;;`)
    .join("\n");
  return `#compdef procfile
_procfile() {
  local -a verbs
  verbs=(
${verbs}
  )
  if (( CURRENT == 2 )); then
    _describe command verbs
    return
  fi
  if (( CURRENT == 3 )); then
    case "$words[2]" in
    ${typeCommands.join("|")}) compadd -- \${(f)"$(procfile list 2>/dev/null)"} ;;
    export) compadd -- ${exportTargets.join(" ")} ;;
    completion) compadd -- bash zsh fish ;;
    esac
  fi
  case "$words[2]" in
${cases}
  esac
  _files
}
compdef _procfile procfile
`;
}

function fish(): string {
  const lines = commands.flatMap(({ name, summary, options }) => [
    `complete -c procfile -n __fish_use_subcommand -a ${name} -d '${summary.replaceAll("'", "")}'`,
    ...Object.entries(options).map(
      ([flag, { short, value, help }]) =>
        `complete -c procfile -n '__fish_seen_subcommand_from ${name}' -l ${flag}${short ? ` -s ${short}` : ""}${value ? " -r" : ""} -d '${help.replaceAll("'", "")}'`,
    ),
  ]);
  return `${lines.join("\n")}
complete -c procfile -n '__fish_seen_subcommand_from ${typeCommands.join(" ")}' -a '(procfile list 2>/dev/null)'
complete -c procfile -n '__fish_seen_subcommand_from export' -a '${exportTargets.join(" ")}'
complete -c procfile -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'
`;
}
