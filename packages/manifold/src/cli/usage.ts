/** What `--help` prints. */
export const USAGE = `dynokit-driver-check [options] <driver>
dynokit-driver-check list [--json | --markdown]
dynokit-driver-check doctor [--json] <driver>
dynokit-driver-check init <directory> [--name <package>]

Runs the conformance kit on a driver and prints a table of its checks.

<driver>  "process", "memory", or a module that exports "make" (a function that returns a
          driver; all its drivers must see the same dynos) and, if wanted, "options" for the kit
doctor    prints what the driver can do on this machine, and what is lost where it can't
list      prints the checks and what each asks for
init      makes a package with a driver that passes, to begin from

  --only <name>     only checks whose name begins so; may be given several times
  --cycles <n>      starts and stops in zombies.none and fds.none (default 100)
  --parallel <n>    starts at once in start.parallel (default 50)
  --seed <n>        seed of soak.chaos (default 1)
  --timeout <ms>    the longest that one check may take (default 60000)
  --name <package>  name of the new package (default: that of its directory)
  --json            the results as JSON
  --markdown        the results as a Markdown table
  --help            this text

Ends with 0 when nothing failed, 1 when a check failed, 2 when it was called wrongly or the
driver could not be loaded.
`;

/** The command was called in a way that it does not know. */
export class UsageError extends Error {}
