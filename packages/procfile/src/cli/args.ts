import { nearest } from "../suggest.ts";
import { CliFailure } from "./io.ts";

/** One option of a command. */
export interface OptionSpec {
  readonly short?: string;
  /** Shown after the option; absent for a switch. */
  readonly value?: string;
  readonly choices?: readonly string[];
  readonly repeatable?: boolean;
  readonly help: string;
}

/** One verb of `procfile`. */
export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  /** Positional arguments as the usage shows them: `<must>`, `[may]`, `<many...>`. */
  readonly usage: string;
  readonly least: number;
  readonly most: number;
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly notes?: readonly string[];
}

/** A command line, read. */
export class Arguments {
  readonly positionals: readonly string[];
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(positionals: readonly string[], values: ReadonlyMap<string, readonly string[]>) {
    this.positionals = positionals;
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  get(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }
}

/** Reads a command line by its specification; everything after `--` is positional. */
export function readArguments(spec: CommandSpec, argv: readonly string[]): Arguments {
  const positionals: string[] = [];
  const values = new Map<string, string[]>();
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index]!;
    if (argument === "--") {
      positionals.push(...argv.slice(index + 1));
      break;
    }
    if (!argument.startsWith("-") || argument === "-") {
      positionals.push(argument);
      // The command to set may have options of its own.
      if (spec.usage.includes("<command...>") && positionals.length === 2) {
        positionals.push(...argv.slice(index + 1));
        break;
      }
      continue;
    }
    const equals = argument.startsWith("--") ? argument.indexOf("=") : -1;
    const flag = equals === -1 ? argument : argument.slice(0, equals);
    const [name, option] = findOption(spec, flag);
    if (option.value === undefined) {
      if (equals !== -1) throw new CliFailure(`${flag} takes no value.`);
      values.set(name, ["true"]);
      continue;
    }
    const value = equals === -1 ? argv[++index] : argument.slice(equals + 1);
    if (value === undefined) throw new CliFailure(`${flag} needs a value: ${option.value}.`);
    if (option.choices && !option.choices.includes(value)) {
      const near = nearest(value, option.choices);
      throw new CliFailure(
        `${flag} ${JSON.stringify(value)}: use ${option.choices.join(", ")}.${near ? ` Did you mean ${near}?` : ""}`,
      );
    }
    values.set(name, option.repeatable ? [...(values.get(name) ?? []), value] : [value]);
  }
  if (positionals.length < spec.least || positionals.length > spec.most)
    throw new CliFailure(`Usage: procfile ${spec.name} ${spec.usage}`);
  return new Arguments(positionals, values);
}

function findOption(spec: CommandSpec, flag: string): [string, OptionSpec] {
  for (const [name, option] of Object.entries(spec.options))
    if (flag === `--${name}` || (option.short && flag === `-${option.short}`))
      return [name, option];
  const near = nearest(flag.replace(/^-+/, ""), Object.keys(spec.options));
  throw new CliFailure(
    `procfile ${spec.name} has no option ${flag}.${near ? ` Did you mean --${near}?` : ""} See procfile ${spec.name} --help.`,
  );
}
