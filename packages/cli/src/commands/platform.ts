import type { Command } from "commander";
import { ApiClient, unreachable } from "../client/client.ts";
import { Contexts } from "../client/contexts.ts";
import { request } from "../client/request.ts";
import type { App, Dyno } from "../client/resources.ts";
import { readAuthority } from "../client/trust.ts";
import { type CommandContext, clientOf, withJson } from "../context.ts";
import { CliError } from "../errors.ts";
import { table } from "../output/table.ts";
import { askSecret } from "../prompt.ts";

interface Account {
  readonly email: string;
}

interface LoginOptions {
  readonly name?: string;
  readonly token?: string;
  readonly ca?: string;
  readonly json?: boolean;
}

/** `login`, `logout`, `contexts`, `whoami`, `status`, `doctor`. */
export function registerPlatform(program: Command, context: CommandContext): void {
  const { terminal } = context;
  const contexts = () => new Contexts(context.env);

  withJson(
    program
      .command("login")
      .alias("auth:login")
      .argument("<url>", "address of the platform's API")
      .description("remember a platform and its token"),
  )
    .option("-n, --name <name>", "name of the context; default: the host")
    .option(
      "--token <token>",
      "the token; asked for when absent, or read from standard input in a pipe",
    )
    .option("--ca <file>", "PEM of the platform's certificate authority; remembered (DYNOKIT_CA)")
    .action(async (address: string, options: LoginOptions) => {
      let url: URL;
      try {
        url = new URL(/^[a-z]+:\/\//i.test(address) ? address : `https://${address}`);
        if (!/^https?:$/.test(url.protocol)) throw new TypeError(url.protocol);
      } catch (cause) {
        throw new CliError(
          "usage",
          `"${address}" is no address: give one such as http://127.0.0.1:5000.`,
          { cause },
        );
      }
      const token = options.token ?? (await askSecret("API token: "));
      if (token === "") throw new CliError("usage", "No token given.");
      const file = options.ca ?? context.env["DYNOKIT_CA"] ?? "";
      const authority = file === "" ? undefined : readAuthority(file);
      const account = await new ApiClient({ url: url.origin, token, authority })
        .get<Account>("/account")
        .catch((cause: unknown) => {
          // Every platform has accounts: this is another server, such as the router of one.
          if (!CliError.is(cause) || cause.status !== 404) throw cause;
          throw new CliError(
            "usage",
            `${url.origin} answers, but is no platform's API. The platform says where that is when it starts, as "API http://127.0.0.1:5000".`,
            { cause },
          );
        });
      const name = options.name ?? url.host;
      const known = contexts().read();
      contexts().write({
        current: name,
        contexts: {
          ...known.contexts,
          [name]: {
            url: url.origin,
            token,
            email: account.email,
            ...(authority === undefined ? {} : { authority }),
          },
        },
      });
      terminal.err(`Signed in to ${name} as ${account.email}`);
      if (options.json)
        terminal.out(JSON.stringify({ name, url: url.origin, email: account.email }, null, 2));
    });

  withJson(
    program
      .command("logout")
      .alias("auth:logout")
      .argument("[name]", "the context; default: the current one")
      .description("forget a platform"),
  ).action((name: string | undefined, options: { json?: boolean }) => {
    const file = contexts().read();
    const chosen = name ?? file.current;
    if (chosen === undefined || !Object.hasOwn(file.contexts, chosen))
      throw new CliError("no-platform", `There is no context "${chosen ?? ""}".`);
    const rest = Object.fromEntries(
      Object.entries(file.contexts).filter(([key]) => key !== chosen),
    );
    const current = file.current === chosen ? Object.keys(rest)[0] : file.current;
    contexts().write({ contexts: rest, ...(current === undefined ? {} : { current }) });
    terminal.err(`Signed out of ${chosen}`);
    if (options.json) terminal.out(JSON.stringify({ name: chosen }, null, 2));
  });

  withJson(
    program
      .command("contexts")
      .argument("[name]", "make this one the current")
      .description("list the platforms, or choose one"),
  ).action((name: string | undefined, options: { json?: boolean }) => {
    const file = contexts().read();
    if (name !== undefined) {
      if (!Object.hasOwn(file.contexts, name))
        throw new CliError("no-platform", `There is no context "${name}".`);
      contexts().write({ ...file, current: name });
      return terminal.err(`Using ${name}`);
    }
    // Without the tokens.
    const all = Object.entries(file.contexts).map(([key, { url, email }]) => ({
      name: key,
      url,
      email: email ?? null,
      current: key === file.current,
    }));
    if (options.json) return terminal.out(JSON.stringify(all, null, 2));
    const rows = Object.entries(file.contexts).map(([key, { url, email }]) => [
      key === file.current ? `* ${key}` : `  ${key}`,
      url,
      email ?? "",
    ]);
    return terminal.out(
      rows.length === 0
        ? "None. Use `dynokit login <url>`."
        : table(terminal, ["  Context", "URL", "Account"], rows),
    );
  });

  withJson(program.command("whoami").alias("auth:whoami").description("show the account")).action(
    async (_, command: Command) => {
      const options = command.optsWithGlobals();
      const account = await clientOf(context, options).get<Account>("/account");
      terminal.out(options["json"] ? JSON.stringify(account, null, 2) : account.email);
    },
  );

  withJson(program.command("status").description("show the state of every app")).action(
    async (_, command: Command) => {
      const options = command.optsWithGlobals();
      const client = clientOf(context, options);
      const apps = await client.list<App>("/apps");
      const rows = await Promise.all(
        apps.map(async (app) => {
          const dynos = await client.list<Dyno>(`/apps/${app.id}/dynos`);
          const count = (state: string) => dynos.filter((dyno) => dyno.state === state).length;
          return {
            app: app.name,
            maintenance: app.maintenance,
            dynos: dynos.length,
            up: count("up"),
            crashed: count("crashed"),
          };
        }),
      );
      if (options["json"]) return terminal.out(JSON.stringify(rows, null, 2));
      const cells = rows.map((row) => [
        row.app,
        `${row.up} of ${row.dynos}`,
        row.crashed > 0 ? terminal.colour.red(`${row.crashed} crashed`) : "",
        row.maintenance ? "maintenance" : "",
      ]);
      return terminal.out(table(terminal, ["App", "Dynos up", "Trouble", "Mode"], cells));
    },
  );

  withJson(program.command("doctor").description("look for common faults")).action(
    async (_, command: Command) => {
      const options = command.optsWithGlobals();
      let faults = 0;
      const checks: { check: string; ok: boolean; said: string }[] = [];
      const check = async (title: string, look: () => Promise<string>) => {
        let ok = true;
        const said = await look().catch((error: Error) => {
          ok = false;
          faults += 1;
          return error.message;
        });
        checks.push({ check: title, ok, said });
        const { green, red } = terminal.colour;
        if (!options["json"])
          terminal.out(`${ok ? green("ok   ") : red("fault")} ${title}: ${said}`);
        return ok;
      };
      let client: ApiClient | undefined;
      const known = await check("platform chosen", async () => {
        client = clientOf(context, options);
        return client.platform.url;
      });
      if (known && client) {
        const chosen = client;
        const reached = await check("API answers", async () => {
          const { url, authority } = chosen.platform;
          const response = await request(new URL("/openapi.json", url), { authority }).catch(
            (cause: unknown) => {
              throw unreachable(url, cause);
            },
          );
          await response.body?.cancel();
          return `status ${response.status}`;
        });
        if (reached) {
          await check("token accepted", async () => (await chosen.get<Account>("/account")).email);
          await check("clock agrees", async () => {
            const date = (await chosen.send("GET", "/account")).headers.get("date");
            const skew =
              date === null ? 0 : Math.abs(context.now().getTime() - Date.parse(date)) / 1000;
            if (skew > 60)
              throw new CliError(
                "failed",
                `this machine is ${Math.round(skew)} s apart from the platform`,
              );
            return "within a minute";
          });
        }
      }
      await check("git", async () => {
        const { execFileSync } = await import("node:child_process");
        return execFileSync("git", ["--version"], { encoding: "utf8" }).trim();
      });
      if (options["json"]) terminal.out(JSON.stringify(checks, null, 2));
      if (faults > 0)
        throw new CliError("failed", `${faults} ${faults === 1 ? "fault" : "faults"} found.`);
    },
  );
}
