import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { addAction, addShow, type Row, text } from "./listing.ts";

/** Your own account, or another one where you administer the platform. */
const pathOf = (account: string | undefined) =>
  account === undefined ? "/account" : `/users/${encodeURIComponent(account)}`;

/** A file, since arguments are seen by every user of a machine; its last line end is no part. */
function passwordOf({ cwd }: CommandContext, file: unknown): string {
  try {
    return readFileSync(resolve(cwd, String(file)), "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    throw new CliError("usage", `The password file ${String(file)} can't be read.`, {
      cause: error,
    });
  }
}

/** `account…`: the account of the token, and what is left of its requests. */
export function registerAccount(program: Command, context: CommandContext): void {
  addShow(program, context, {
    name: "account",
    arguments: ["[account]"],
    description: "show your account; another one for administrators",
    path: (_, [account]) => (account === undefined ? "/account" : `/users/${account}`),
    app: false,
  });
  addAction(
    program,
    context,
    {
      name: "account:create",
      arguments: ["<email>"],
      description: "make an account, as an administrator",
      app: false,
      set: (command) =>
        command
          .option("-n, --name <name>", "the name")
          .option("--admin", "it sees and may change every app")
          .option("--password-file <path>", "its password; without one it has tokens only"),
    },
    async (client, { values: [email], options: { name, admin, passwordFile } }) => ({
      result: await client.post<Row>("/accounts", {
        email,
        ...(name === undefined ? {} : { name }),
        ...(admin === true ? { admin } : {}),
        ...(passwordFile === undefined ? {} : { password: passwordOf(context, passwordFile) }),
      }),
      said: `Making account ${email}... done`,
    }),
  );
  addAction(
    program,
    context,
    {
      name: "account:update",
      arguments: ["[account]"],
      description: "change the name of an account",
      app: false,
      set: (command) => command.requiredOption("-n, --name <name>", "the name"),
    },
    async (client, { values: [account], options: { name } }) => ({
      result: await client.patch(pathOf(account), { name }),
      said: "Updating account... done",
    }),
  );
  addAction(
    program,
    context,
    {
      name: "account:destroy",
      arguments: ["[account]"],
      description: "remove an account that owns no apps, with its tokens",
      app: false,
      set: (command) =>
        command.requiredOption("-c, --confirm <email>", "the account's e-mail, to be sure"),
    },
    async (client, { values: [account], options: { confirm } }) => {
      const { email } = await client.get<{ email: string }>(pathOf(account));
      if (confirm !== email)
        throw new CliError(
          "usage",
          `This removes ${email} for ever. Confirm it with --confirm ${email}.`,
        );
      return {
        result: await client.delete(pathOf(account)),
        said: `Removing ${email}... done`,
      };
    },
  );
  addShow(program, context, {
    name: "account:rate-limit",
    aliases: ["ratelimit"],
    description: "show how many requests are left; asking costs none",
    path: () => "/account/rate-limits",
    app: false,
  });
  addAction(
    program,
    context,
    {
      name: "account:capabilities",
      arguments: ["[capabilities...]"],
      description: "show what the token in use may do, for all apps or for one",
      app: false,
      set: (command) => command.option("-a, --app <name>", "ask it for this app"),
    },
    async (client, { values, options: { app } }) => {
      const asked = values.map((capability) => ({
        capability,
        resource_type: "app",
        ...(app === undefined ? {} : { resource_id: app }),
      }));
      const result = await client.call<{ capabilities: Row[] }>("PUT", "/users/~/capabilities", {
        body: asked.length === 0 ? {} : { capabilities: asked },
      });
      const lines = result.capabilities.map(
        (one) => `${one["capable"] === true ? "yes" : "no "}  ${text(one["capability"])}`,
      );
      return { result, said: "Asking what the token may do... done", printed: lines.join("\n") };
    },
  );
}
