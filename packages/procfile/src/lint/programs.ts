import { servers } from "./servers.ts";
import type { Command, Word } from "./words.ts";

/** The last part of a path: `vendor/bin/heroku-php-nginx` is known by its name. */
export function baseName(word: string): string {
  return word.slice(word.lastIndexOf("/") + 1);
}

/** Words that are programs known to listen. */
export function serverWords(command: Command): Word[] {
  return command.words.filter(({ value }) => servers.has(baseName(value)));
}

const runtimes = new Set([
  "node",
  "npm",
  "npx",
  "yarn",
  "pnpm",
  "bun",
  "deno",
  "mix",
  "iex",
  "tsx",
  "ts-node",
  "rails",
  "sidekiq",
]);

/** Whether a command is surely a server: one that binds `$PORT`, or a program that only serves. */
export function isServer(command: Command): boolean {
  if (command.variables.some(({ name }) => name === "PORT")) return true;
  const words = command.words.map(({ value }) => value);
  return serverWords(command).some(({ value }) => {
    const program = baseName(value);
    const next = words[words.indexOf(value) + 1];
    // A runtime or a framework's command serves only when told to.
    if (runtimes.has(program))
      return (
        (program === "rails" && (next === "server" || next === "s")) ||
        (["npm", "yarn", "pnpm"].includes(program) && next === "start") ||
        (program === "mix" && next === "phx.server")
      );
    return true;
  });
}
