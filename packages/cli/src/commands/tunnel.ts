import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { Contexts } from "../client/contexts.ts";
import { readAuthority } from "../client/trust.ts";
import { type CommandContext, withJson } from "../context.ts";
import { CliError } from "../errors.ts";
import { Remote } from "../tunnel/remote.ts";
import { Tunnel } from "../tunnel/tunnel.ts";
import { shellQuote } from "./config.ts";

const port = (text: string) => {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new InvalidArgumentError("give a port from 0 to 65535.");
  return Number(text);
};

/** `tunnel`: the official heroku CLI talks only to localhost, so localhost has to lead to the platform. */
export function registerTunnel(program: Command, context: CommandContext): void {
  const { terminal } = context;

  program
    .command("auth:token")
    .description("print the token of the platform in use")
    .action((_, command: Command) => {
      const options = command.optsWithGlobals();
      terminal.out(new Contexts(context.env).resolve(options["context"], context.env).token);
    });

  withJson(
    program
      .command("tunnel")
      .argument("[url]", "the platform's API; default: the platform in use")
      .description("let the official heroku CLI reach a platform through localhost"),
  )
    .option("-p, --port <port>", "port here; default the platform's own, else 5000", port)
    .option("--ca <file>", "PEM of the platform's certificate authority (DYNOKIT_CA)")
    .option("--pin <key>", "accept only this public key: sha256/<base64>")
    .action(async (address: string | undefined, _, command: Command) => {
      const options = command.optsWithGlobals();
      const contexts = new Contexts(context.env);
      const platform =
        address === undefined ? contexts.resolve(options["context"], context.env) : undefined;
      const url = parseUrl(address ?? platform?.url ?? "");
      const file = options["ca"] ?? context.env["DYNOKIT_CA"] ?? "";
      const authority = file === "" ? platform?.authority : readAuthority(String(file));
      const remote = new Remote({ url, authority, pin: options["pin"] });
      await reach(remote);
      const tunnel = new Tunnel(remote, {
        failed: (error) => terminal.err(` ▸    ${error.message || "the platform does not answer"}`),
      });
      const wanted = options["port"] ?? (remote.port >= 1024 ? remote.port : 5000);
      const local = await tunnel.listen(wanted);
      try {
        const caFile = file === "" ? storedAuthority(contexts, url, authority) : String(file);
        const env = recipe(local, caFile, options["context"] as string | undefined);
        if (options["json"])
          terminal.out(JSON.stringify({ port: local, remote: url.origin, env }, null, 2));
        else {
          terminal.out(`# http://localhost:${local} leads to ${url.origin}. Ctrl-C ends it.`);
          if (local !== remote.port)
            terminal.out(
              `# Streams and attached runs use addresses that the platform hands out, with port ${remote.port}: they need the same port here.`,
            );
          for (const [name, value] of Object.entries(env)) terminal.out(`export ${name}=${value}`);
        }
        if (!remote.secure && !/^(localhost|127\.|::1$)/.test(remote.host))
          terminal.err(` ▸    ${url.origin} is not encrypted: your token can be read on the way.`);
        if (!context.signal.aborted)
          await new Promise<void>((resolve) =>
            context.signal.addEventListener("abort", () => resolve(), { once: true }),
          );
      } finally {
        await tunnel.close();
      }
    });
}

function parseUrl(text: string): URL {
  const whole = /^https?:\/\//.test(text) ? text : `https://${text}`;
  if (text !== "" && URL.canParse(whole)) return new URL(whole);
  throw new CliError(
    "usage",
    `"${text}" is no address: give one such as https://paas.example.com.`,
  );
}

/** Said at once rather than at the first request of a client that explains less. */
async function reach(remote: Remote): Promise<void> {
  try {
    const socket = await (remote.secure ? remote.encrypted() : remote.plain());
    socket.destroy();
  } catch (cause) {
    if (CliError.is(cause)) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const trust = /CERT|SIGNED|TLS|ISSUER|ALTNAME/.test(code ?? "");
    throw new CliError(
      "unreachable",
      `${remote.host}:${remote.port} cannot be reached (${code ?? message}). ${
        trust ? "Name its CA file with --ca, or its key with --pin." : "Is the address right?"
      }`,
      { cause },
    );
  }
}

/** Other programs need the authority as a file. */
function storedAuthority(
  contexts: Contexts,
  url: URL,
  authority: string | undefined,
): string | undefined {
  if (authority === undefined) return undefined;
  const path = join(dirname(contexts.path), `ca-${url.hostname.replaceAll(/[^\w.-]/g, "_")}.pem`);
  writeFileSync(path, authority, { mode: 0o600 });
  return path;
}

/** What the heroku CLI and git need (spec/platform-api.md §1.1). The token stays out of the text. */
function recipe(
  local: number,
  caFile: string | undefined,
  context: string | undefined,
): Record<string, string> {
  const host = `http://localhost:${local}`;
  const named = context === undefined ? "" : ` --context ${shellQuote(context)}`;
  return {
    HEROKU_HOST: host,
    // Else the token goes to Heroku with every look at the account.
    HEROKU_PARTICLEBOARD_URL: host,
    HEROKU_API_KEY: `"$(dynokit auth:token${named})"`,
    HEROKU_NETRC_WRITE: "true",
    DISABLE_TELEMETRY: "true",
    ...(caFile === undefined
      ? {}
      : { NODE_EXTRA_CA_CERTS: shellQuote(caFile), GIT_SSL_CAINFO: shellQuote(caFile) }),
  };
}
