/** Headings of `dynokit --help`, in their order, with the topics below each. */
export const groups: readonly (readonly [heading: string, topics: readonly string[]])[] = [
  ["Apps", ["apps", "open", "maintenance", "access", "transfers", "features", "stacks"]],
  [
    "Code",
    [
      "deploy",
      "builds",
      "buildpacks",
      "slugs",
      "git",
      "releases",
      "rollback",
      "pipelines",
      "config",
    ],
  ],
  ["Files that describe an app", ["plan", "apply", "export"]],
  ["Dynos", ["ps", "run", "runs", "sizes"]],
  ["Logs, traffic and events", ["logs", "drains", "metrics", "events", "webhooks"]],
  ["Routing", ["domains", "certs", "routing"]],
  ["Account", ["account", "whoami", "tokens", "clients", "labs"]],
  [
    "Platform",
    ["login", "logout", "auth", "contexts", "status", "doctor", "tunnel", "regions", "generations"],
  ],
  ["This machine", ["local", "completion", "commands"]],
];

/** `domains:add` belongs to `domains`. */
export const topicOf = (name: string) => name.split(":")[0] as string;

/** The heading that a command stands below. */
export const groupOf = (name: string): string | undefined =>
  groups.find(([, topics]) => topics.includes(topicOf(name)))?.[0];
