/** Programs that listen, and what is known of them. */
interface Server {
  /** Takes its port from the environment variable `PORT` without being told. */
  readonly readsPort: boolean;
  /** Options that send it to the background. */
  readonly daemon?: readonly string[];
}

// Runtimes count as reading PORT: the program they run conventionally does, and nothing in the
// command could tell otherwise.
export const servers: ReadonlyMap<string, Server> = new Map<string, Server>([
  ["node", { readsPort: true }],
  ["npm", { readsPort: true }],
  ["npx", { readsPort: true }],
  ["yarn", { readsPort: true }],
  ["pnpm", { readsPort: true }],
  ["bun", { readsPort: true }],
  ["deno", { readsPort: true }],
  ["tsx", { readsPort: true }],
  ["ts-node", { readsPort: true }],
  ["next", { readsPort: true }],
  ["nuxt", { readsPort: true }],
  ["nest", { readsPort: true }],
  ["remix-serve", { readsPort: true }],
  ["react-router-serve", { readsPort: true }],
  ["serve", { readsPort: true }],
  ["http-server", { readsPort: true }],
  ["rails", { readsPort: true, daemon: ["-d", "--daemon"] }],
  ["puma", { readsPort: true, daemon: ["-d", "--daemon"] }],
  ["falcon", { readsPort: false }],
  ["thin", { readsPort: false, daemon: ["-d", "--daemonize"] }],
  ["unicorn", { readsPort: true, daemon: ["-D", "--daemonize"] }],
  ["passenger", { readsPort: true, daemon: ["-d", "--daemonize"] }],
  ["rackup", { readsPort: false, daemon: ["-D", "--daemonize"] }],
  ["gunicorn", { readsPort: true, daemon: ["-D", "--daemon"] }],
  ["uvicorn", { readsPort: false }],
  ["hypercorn", { readsPort: false, daemon: ["-D", "--daemon"] }],
  ["daphne", { readsPort: false }],
  ["waitress-serve", { readsPort: false }],
  ["uwsgi", { readsPort: false, daemon: ["-d", "--daemonize"] }],
  ["flask", { readsPort: false }],
  ["streamlit", { readsPort: false }],
  ["heroku-php-apache2", { readsPort: true }],
  ["heroku-php-nginx", { readsPort: true }],
  ["heroku-hhvm-apache2", { readsPort: true }],
  ["start-nginx", { readsPort: true }],
  ["nginx", { readsPort: false }],
  ["caddy", { readsPort: false }],
  ["httpd", { readsPort: false }],
  ["mix", { readsPort: true }],
  ["iex", { readsPort: true }],
  ["lighttpd", { readsPort: false }],
  ["redis-server", { readsPort: false, daemon: ["--daemonize"] }],
  ["memcached", { readsPort: false, daemon: ["-d"] }],
  ["sidekiq", { readsPort: false, daemon: ["-d", "--daemon"] }],
]);
