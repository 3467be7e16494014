import { changes, shows } from "./cases.ts";

/** What of an endpoint the page needs. */
export interface EndpointLike {
  readonly resource: string;
  readonly method: string;
  readonly path: string;
  readonly summary: string;
}

/** Requests of commands that make several; those of one request are in the cases of the tests. */
const more: readonly (readonly [command: string, request: string])[] = [
  ["config", "GET /apps/shop/config-vars"],
  ["config:set", "PATCH /apps/shop/config-vars"],
  ["config:unset", "PATCH /apps/shop/config-vars"],
  ["config:edit", "PATCH /apps/shop/config-vars"],
  ["ps:scale", "PATCH /apps/shop/formation"],
  ["deploy", "POST /sources"],
  ["deploy", "POST /apps/shop/builds"],
  ["deploy", "GET /apps/shop/builds/b"],
  ["builds:output", "GET /apps/shop/builds/b"],
  ["slugs:create", "POST /apps/shop/slugs"],
  ["slugs:create", "POST /apps/shop/releases"],
  ["rollback", "POST /apps/shop/releases"],
  ["releases:diff", "GET /apps/shop/releases/v1/config-vars"],
  ["run", "POST /apps/shop/dynos"],
  ["run:detached", "POST /apps/shop/dynos"],
  ["run:inside", "POST /apps/shop/dynos/web.1"],
  ["logs", "POST /apps/shop/log-sessions"],
  ["certs:add", "POST /apps/shop/sni-endpoints"],
  ["certs:update", "PATCH /apps/shop/sni-endpoints/x"],
  ["buildpacks:set", "PUT /apps/shop/buildpack-installations"],
  ["buildpacks:add", "PUT /apps/shop/buildpack-installations"],
  ["pipelines:create", "POST /pipelines"],
  ["pipelines:add", "POST /pipeline-couplings"],
  ["pipelines:remove", "DELETE /pipeline-couplings/c"],
  ["pipelines:update", "PATCH /pipeline-couplings/c"],
  ["pipelines:info", "GET /pipelines/pipe"],
  ["pipelines:info", "GET /pipelines/pipe/pipeline-couplings"],
  ["pipelines:releases", "GET /pipelines/pipe/latest-releases"],
  ["pipelines:promote", "GET /apps/shop/pipeline-couplings"],
  ["pipelines:promote", "POST /pipeline-promotions"],
  ["pipelines:promote", "GET /pipeline-promotions/p/promotion-targets"],
  ["account:destroy", "DELETE /account"],
];

/** Where the console has an endpoint: the file below `src/views`, without `-view.tsx`. */
const consoleViews: Readonly<Record<string, readonly string[]>> = {
  apps: ["GET /apps", "POST /apps"],
  settings: [
    "PATCH /apps/{app}",
    "DELETE /apps/{app}",
    "GET /apps/{app}/features",
    "PATCH /apps/{app}/features/{app_feature}",
    "GET /apps/{app}/buildpack-installations",
    "PUT /apps/{app}/buildpack-installations",
  ],
  dynos: [
    "GET /apps/{app}/dynos",
    "DELETE /apps/{app}/dynos",
    "DELETE /apps/{app}/dynos/{dyno}",
    "GET /apps/{app}/formation",
    "PATCH /apps/{app}/formation",
  ],
  logs: ["POST /apps/{app}/log-sessions"],
  traffic: ["GET /apps/{app}/metrics"],
  deploy: [
    "POST /sources",
    "POST /apps/{app}/builds",
    "GET /apps/{app}/builds/{build}",
    "GET /apps/{app}/releases",
    "POST /apps/{app}/releases",
    "GET /apps/{app}/releases/{release}/config-vars",
  ],
  config: ["GET /apps/{app}/config-vars", "PATCH /apps/{app}/config-vars"],
  routing: [
    "GET /apps/{app}/domains",
    "POST /apps/{app}/domains",
    "DELETE /apps/{app}/domains/{domain}",
    "GET /apps/{app}/sni-endpoints",
    "POST /apps/{app}/sni-endpoints",
    "DELETE /apps/{app}/sni-endpoints/{sni_endpoint}",
    "GET /apps/{app}/router",
    "PATCH /apps/{app}/router",
  ],
  hooks: [
    "GET /apps/{app}/log-drains",
    "POST /apps/{app}/log-drains",
    "DELETE /apps/{app}/log-drains/{log_drain}",
    "GET /apps/{app}/log-drains/{log_drain}/ledger",
    "POST /apps/{app}/log-drains/{log_drain}/test",
    "GET /apps/{app}/webhooks",
    "POST /apps/{app}/webhooks",
    "DELETE /apps/{app}/webhooks/{app_webhook}",
    "GET /apps/{app}/webhook-deliveries",
  ],
  access: [
    "GET /apps/{app}/collaborators",
    "POST /apps/{app}/collaborators",
    "DELETE /apps/{app}/collaborators/{collaborator}",
    "POST /account/app-transfers",
  ],
  account: [
    "GET /oauth/authorizations",
    "POST /oauth/authorizations",
    "DELETE /oauth/authorizations/{oauth_authorization}",
    "GET /account/app-transfers",
    "PATCH /account/app-transfers/{app_transfer}",
    "DELETE /account/app-transfers/{app_transfer}",
  ],
  pipelines: [
    "GET /account",
    "GET /apps/{app}",
    "GET /pipelines",
    "POST /pipelines",
    "DELETE /pipelines/{pipeline}",
    "GET /pipelines/{pipeline}/pipeline-couplings",
    "GET /pipelines/{pipeline}/latest-releases",
    "POST /pipeline-couplings",
    "DELETE /pipeline-couplings/{pipeline_coupling}",
    "POST /pipeline-promotions",
  ],
};

/** What does the work behind a resource, where a package can be used without the API. */
export const libraries: Readonly<Record<string, readonly [package_: string, member: string]>> = {
  dyno: ["manifold", "Manifold.ps"],
  formation: ["manifold", "Manifold.scale"],
  release: ["manifold", "Manifold.apply"],
  "config-var": ["manifold", "Manifold.apply"],
  build: ["builder", "Builder.build"],
  domain: ["router", "RouteTable.set"],
  app: ["router", "RouteTable.set"],
  "sni-endpoint": ["router", "RouteTable.set"],
  "router-settings": ["router", "RouteTable.set"],
  "log-drain": ["logplex", "Logplex.addDrain"],
  "log-session": ["logplex", "Logplex.createSession"],
};

/** The six areas that every surface has to have. */
export const areas: Readonly<Record<string, readonly string[]>> = {
  "Process management": ["dyno"],
  Routing: ["domain", "sni-endpoint", "router-settings"],
  Logging: ["log-session", "log-drain"],
  Scaling: ["formation"],
  Configuration: ["config-var"],
  Deployment: ["build", "release"],
};

/** Endpoints that say the same as another one, or that there is nothing, and for whom they are. */
export function withoutCommand({ resource, method, path, summary }: EndpointLike) {
  if (/this platform has n|there are none/.test(summary)) return "Heroku's clients ask for it";
  if (path.startsWith("/teams/")) return "another path of collaborators";
  if (/^\/users\/(~|\{account\})/.test(path)) return "another path of the account";
  if (path === "/apps/{app}/sources") return "an older path of sources";
  if (path.includes("/formation") && !path.endsWith("/formation"))
    return "the list of the formation says the same";
  if (resource === "oauth-token") return "for programs that sign in with OAuth";
  if (resource === "app-setup")
    return "for deploy buttons and scripts; `apps:create`, `config:set` and `deploy` are its steps";
  if (resource === "filter-apps") return "for clients with many apps";
  if (resource === "pipeline-config-var") return "Heroku's clients ask for it";
  if (/^\/pipelines\/\{pipeline\}\/(latest-builds|latest-deployments|pipeline-stack)$/.test(path))
    return "`pipelines:info` and `pipelines:releases` show it";
  if (/^\/(pipeline-couplings|pipeline-promotions)/.test(path) && method === "GET")
    return "`pipelines:info` and `pipelines:promote` show it";
  return undefined;
}

const matches = (path: string, request: string) =>
  new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, "[^/]+")}$`).test(request);

/** Commands that make a request of this endpoint. */
export function commandsOf(endpoint: EndpointLike, all: readonly EndpointLike[]): string[] {
  const asked: (readonly [string, string])[] = [
    ...shows.map(([argv, request]) => [argv[0] as string, request] as const),
    ...changes.map(([argv, request]) => [argv[0] as string, request] as const),
    ...more,
  ];
  const found = asked.filter(([, request]) => {
    const [method = "", path = ""] = request.split(" ");
    if (method !== endpoint.method || !matches(endpoint.path, path)) return false;
    // `/users/~/…` is more exact than `/users/{account}/…`.
    const holes = (one: EndpointLike) => one.path.split("{").length;
    return !all.some(
      (other) =>
        other.method === method && matches(other.path, path) && holes(other) < holes(endpoint),
    );
  });
  return [...new Set(found.map(([command]) => command))].toSorted((a, b) => a.localeCompare(b));
}

/** The views of the console that use an endpoint. */
export function viewsOf({ method, path }: EndpointLike): string[] {
  return Object.entries(consoleViews)
    .filter(([, list]) => list.includes(`${method} ${path}`))
    .map(([view]) => view);
}

export const consoleEndpoints = Object.entries(consoleViews).flatMap(([view, list]) =>
  list.map((endpoint) => [view, endpoint] as const),
);

/** `docs/reference/surfaces.md`. */
export function surfacesPage(all: readonly EndpointLike[]): string {
  const code = (list: readonly string[]) => list.map((one) => `\`${one}\``).join(", ");
  const lines = [head];
  for (const [area, resources] of Object.entries(areas)) {
    const endpoints = all.filter(({ resource }) => resources.includes(resource));
    const cells = [
      [...new Set(endpoints.flatMap((one) => commandsOf(one, all)))],
      [...new Set(endpoints.flatMap(viewsOf))],
      [...new Set(endpoints.map(({ path }) => path))].slice(0, 4),
      resources.flatMap((resource) => libraries[resource]?.[1] ?? []),
    ];
    lines.push(`| ${area} | ${cells.map(code).join(" | ")} |`);
  }
  lines.push(
    "",
    "## Every endpoint",
    "",
    "| Endpoint | Command | Console | Library |",
    "|---|---|---|---|",
  );
  for (const endpoint of all) {
    const commands = commandsOf(endpoint, all);
    const command = commands.length > 0 ? code(commands) : `– (${withoutCommand(endpoint) ?? ""})`;
    const library = libraries[endpoint.resource]?.[1];
    lines.push(
      `| \`${endpoint.method} ${endpoint.path}\` | ${command} | ${code(viewsOf(endpoint)) || "–"} | ${library ? `\`${library}\`` : "–"} |`,
    );
  }
  return `${lines.join("\n")}\n`;
}

const head = `# Control surfaces

What can be done from where: the command line, the web console, the REST API, and the packages as
libraries. This page is made of the API's table of endpoints, the requests that the tests of the commands
see, and the views of the console; a test fails when they differ.

## The six areas

| Area | Commands | Console | API | Library |
|---|---|---|---|---|`;
