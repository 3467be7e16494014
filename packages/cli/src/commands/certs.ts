import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { addAction, addListing, addShow, inner, type Row, text } from "./listing.ts";

/** `certs`, `certs:add`, `certs:update`, `certs:remove`, `certs:auto…`. */
export function registerCerts(program: Command, context: CommandContext): void {
  addListing(program, context, {
    name: "certs",
    description: "list the certificates of an app",
    path: (app) => `/apps/${app}/sni-endpoints`,
    header: ["Name", "Domains", "Expires"],
    row: (item) => [text(item["name"]), domainsOf(item), inner(item, "ssl_cert", "expires_at")],
    empty: "No certificates.",
  });
  const pair = (values: readonly string[]) => ({
    certificate_chain: pem(context, values[0] ?? "", "CERTIFICATE"),
    private_key: pem(context, values[1] ?? "", "PRIVATE KEY"),
  });
  addAction(
    program,
    context,
    {
      name: "certs:add",
      arguments: ["<chain>", "<key>"],
      description: "add a certificate: PEM files of the chain and of its key",
    },
    async (client, { app, values }) => {
      const result = await client.post<Row>(`/apps/${app}/sni-endpoints`, pair(values));
      return {
        result,
        said: `Adding certificate to ${app}... done`,
        printed: `${text(result["name"])}  ${domainsOf(result)}`.trimEnd(),
      };
    },
  );
  addAction(
    program,
    context,
    {
      name: "certs:update",
      arguments: ["<chain>", "<key>"],
      description: "replace a certificate",
      set: (command) =>
        command.requiredOption("-n, --name <name>", "the certificate, as `certs` lists it"),
    },
    async (client, { app, values, options }) => {
      const name = text(options["name"]);
      const path = `/apps/${app}/sni-endpoints/${encodeURIComponent(name)}`;
      return {
        result: await client.patch(path, pair(values)),
        said: `Updating certificate ${name} of ${app}... done`,
      };
    },
  );
  addAction(
    program,
    context,
    { name: "certs:remove", arguments: ["<name>"], description: "remove a certificate" },
    async (client, { app, values: [name = ""] }) => ({
      result: await client.delete(`/apps/${app}/sni-endpoints/${encodeURIComponent(name)}`),
      said: `Removing certificate ${name} from ${app}... done`,
    }),
  );
  addShow(program, context, {
    name: "certs:info",
    arguments: ["<name>"],
    description: "show a certificate: its domains, issuer and dates",
    path: (app, [name]) => `/apps/${app}/sni-endpoints/${name}`,
  });
  addListing(program, context, {
    name: "certs:auto",
    description: "show how far the automatic certificates of the domains are",
    path: (app) => `/apps/${app}/domains`,
    header: ["Domain", "Status", "Why"],
    row: (item) => [
      text(item["hostname"]),
      text(item["acm_status"] ?? "off"),
      text(item["acm_status_reason"]),
    ],
    empty: "No domains.",
  });
  for (const [name, method, verb] of [
    ["enable", "POST", "Enabling"],
    ["refresh", "PATCH", "Refreshing"],
    ["disable", "DELETE", "Disabling"],
  ] as const)
    addAction(
      program,
      context,
      { name: `certs:auto:${name}`, description: `${name} automatic certificates` },
      async (client, { app }) => ({
        result: await client.call(
          method,
          `/apps/${app}/acm`,
          method === "DELETE" ? {} : { body: {} },
        ),
        said: `${verb} automatic certificates for ${app}... done`,
      }),
    );
}

const domainsOf = (item: Row) =>
  ((item["ssl_cert"] as { cert_domains?: string[] } | null)?.cert_domains ?? []).join(" ");

function pem(context: CommandContext, path: string, kind: string): string {
  const absolute = resolve(context.cwd, path);
  let content: string;
  try {
    content = readFileSync(absolute, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CliError("usage", `${absolute} cannot be read (${code}).`, { cause });
  }
  if (new RegExp(`-----BEGIN [A-Z ]*${kind}-----`).test(content)) return content;
  throw new CliError(
    "usage",
    `${absolute} holds no ${kind.toLowerCase()} in PEM form. Give the chain first, then its key.`,
  );
}
