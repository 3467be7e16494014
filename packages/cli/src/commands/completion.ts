import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { CliError } from "../errors.ts";

interface Entry {
  readonly name: string;
  readonly description: string;
  readonly options: readonly string[];
}

function entries(program: Command): Entry[] {
  return program.commands.flatMap((command) => {
    const options = command.options.flatMap(({ long }) => (long ? [long] : []));
    return [command.name(), ...command.aliases()].map((name) => ({
      name,
      description: command.description(),
      // What a command can be asked stands beside its options.
      options: [...command.commands.map((inner) => inner.name()), ...options, "--help"],
    }));
  });
}

// bash splits words at colons, so the names of commands are completed by hand.
function bash(all: readonly Entry[]): string {
  const cases = all.map(({ name, options }) => `    ${name}) words="${options.join(" ")}" ;;`);
  return `# dynokit completion bash >> ~/.bashrc
_dynokit() {
  local line="\${COMP_LINE:0:COMP_POINT}" words current
  read -ra typed <<<"$line"
  current="\${typed[\${#typed[@]}-1]}"
  [[ "$line" == *" " ]] && current=""
  case "\${typed[1]:-}" in
${cases.join("\n")}
    *) words="${all.map(({ name }) => name).join(" ")}" ;;
  esac
  local found colon_prefix="\${current%"\${current##*:}"}"
  found=$(compgen -W "$words" -- "$current")
  COMPREPLY=()
  local word
  for word in $found; do COMPREPLY+=("\${word#"$colon_prefix"}"); done
}
complete -o default -F _dynokit dynokit
`;
}

const zshQuote = (text: string) => text.replaceAll("'", "'\\''").replaceAll(":", "\\:");

function zsh(all: readonly Entry[]): string {
  const commands = all.map(
    ({ name, description }) => `    '${zshQuote(name)}:${zshQuote(description)}'`,
  );
  const cases = all.map(({ name, options }) => `    ${name}) compadd -- ${options.join(" ")} ;;`);
  return `#compdef dynokit
# dynokit completion zsh > a file named _dynokit in a folder of $fpath
_dynokit() {
  if (( CURRENT == 2 )); then
    local -a commands=(
${commands.join("\n")}
    )
    _describe command commands
    return
  fi
  case "$words[2]" in
${cases.join("\n")}
  esac
}
compdef _dynokit dynokit
`;
}

const fishQuote = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

function fish(all: readonly Entry[]): string {
  return all
    .flatMap(({ name, description, options }) => [
      `complete -c dynokit -f -n __fish_use_subcommand -a ${fishQuote(name)} -d ${fishQuote(description)}`,
      ...options.map((option) => {
        const what = option.startsWith("--") ? `-l ${option.slice(2)}` : `-a ${option}`;
        return `complete -c dynokit -n '__fish_seen_subcommand_from ${name}' ${what}`;
      }),
    ])
    .concat("")
    .join("\n");
}

const shells = { bash, zsh, fish };

/** `completion bash|zsh|fish`: a script made of the command tree itself. */
export function registerCompletion(program: Command, { terminal }: CommandContext): void {
  program
    .command("completion")
    .argument("<shell>", "bash, zsh or fish")
    .description("print a completion script")
    .action((shell: string) => {
      if (!Object.hasOwn(shells, shell))
        throw new CliError(
          "usage",
          `There is no completion for "${shell}": use bash, zsh or fish.`,
        );
      terminal.out(shells[shell as keyof typeof shells](entries(program)).trimEnd());
    });
}
