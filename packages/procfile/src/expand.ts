import { readCommand } from "./lint/words.ts";

/**
 * Fills `$NAME` and `${NAME}` into a command, as a shell would see them: not in single quotes and
 * not after a backslash. Forms such as `${NAME:-x}` stay. For showing a command; a process is
 * started with the command as it is, because a shell expands it better.
 */
export function expandCommand(command: string, lookup: (name: string) => string): string {
  let expanded = "";
  let done = 0;
  for (const { name, start, end, guarded } of readCommand(command).variables) {
    if (guarded) continue;
    expanded += command.slice(done, start) + lookup(name);
    done = end;
  }
  return expanded + command.slice(done);
}
