/**
 * Programs of the fixture dynos. They are shell text inside the command itself, so that they run
 * wherever there is a POSIX shell, and named, so that a fake driver can tell them apart.
 */
export const fixtures = {
  exit: 'exit "$1"',
  die: 'kill -s "$1" $$; sleep 1000',
  echo: 'for one in "$@"; do printf "%s\\n" "$one"; done',
  print: 'printf "$1"',
  sleep: "echo ready; exec sleep 1000",
  exitAfter: 'echo ready; sleep "$1"; exit "$2"',
  // Short sleeps in front: a shell runs its trap only between commands, and what it starts behind
  // itself ignores SIGINT.
  onSignal: 'trap "exit $2" "$1"; echo ready; while :; do sleep 0.05; done',
  ignoreTerm: 'trap "" TERM; echo ready; while :; do sleep 1000; done',
  tree: 'sh -c "sleep 1000; :" "$1" & sh -c "sh -c \\"sleep 1000; :\\" $1; :" "$1" & echo ready; wait',
  nested: 'sh -c "sleep 1000; :" "$1" & sh -c "sleep 1000; :" "$1"',
  daemon:
    '(setsid sh -c "sleep 1000; :" "$1" >/dev/null 2>&1 </dev/null &); sleep 0.2; echo ready; sleep 1000',
  onUser: 'trap "echo usr1" USR1; echo ready; while :; do sleep 1000 & wait $!; done',
  count: 'i=0; while [ $i -lt "$1" ]; do echo "o$i"; echo "e$i" >&2; i=$((i+1)); done; exit 0',
  lateLines: "sleep 0.2; echo one; echo two; echo ready; sleep 1000",
  splitUtf8: "printf '\\303'; sleep 0.2; printf '\\251\\342\\202'; sleep 0.2; printf '\\254\\n'",
  binary: "printf '\\000\\377\\376\\001x\\n'",
  longLine: 'head -c "$1" /dev/zero | tr "\\000" x; echo; echo end',
  flood: 'i=0; while [ $i -lt "$1" ]; do printf "%0990d\\n" $i; i=$((i+1)); done',
  streams: "echo out; echo err >&2",
  busy: "echo ready; while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.05; done",
  allocateInChild:
    'sh -c \'x=$(head -c "$1" /dev/zero | tr "\\000" x); echo ready; sleep 1000; echo $x\' sh "$1" & wait',
  allocate:
    'echo ready; x=$(head -c "$1" /dev/zero | tr "\\000" x); echo allocated; sleep 1000; echo $x',
  forks:
    'i=0; while [ $i -lt "$1" ]; do sh -c "sleep 1000; :" "$2" & i=$((i+1)); done; echo ready; wait',
  write: 'if [ -e "$1" ]; then echo present; else echo absent; fi; echo x > "$1"',
  readFile: 'cat "$1"; pwd',
  onHangup: 'trap "exit 9" HUP; echo ready; while :; do sleep 0.05; done',
  both: "echo out; echo err >&2; exit 6",
  variables: 'echo "$ALPHA $BETA $GAMMA"',
  inside: "echo inside",
  linger: "sleep 1000; :",
  terminal:
    'trap "stty size" WINCH; test -t 0 && test -t 1 && echo terminal; stty size; while :; do sleep 0.05; done',
} as const;

export type FixtureName = keyof typeof fixtures;

/** The command of a fixture, in argv form: `sh -c <program> fixture:<name> …`. */
export function fixture(name: FixtureName, ...parameters: readonly string[]): readonly string[] {
  return ["sh", "-c", fixtures[name], `fixture:${name}`, ...parameters];
}

/** The name and parameters of a command made by `fixture`; for fake drivers. */
export function readFixture(
  command: string | readonly string[],
): { readonly name: FixtureName; readonly parameters: readonly string[] } | undefined {
  if (typeof command === "string" || !command[3]?.startsWith("fixture:")) return undefined;
  const name = command[3].slice("fixture:".length) as FixtureName;
  return Object.hasOwn(fixtures, name) ? { name, parameters: command.slice(4) } : undefined;
}
