import { z } from "zod";
import { accountBy, createAccount, passwordSchema } from "../auth/accounts.ts";
import { ApiError, invalid, notFound } from "../errors.ts";
import { tooMany } from "../http/dispatch.ts";
import { type Context, defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { accountSchema, presentAccount } from "../resources/account.ts";
import { hashPassword, verifyPassword } from "../secrets.ts";
import type { AccountRow } from "../store/tables.ts";

const update = z.object({
  allow_tracking: z.boolean().optional(),
  beta: z.boolean().optional(),
  name: z.string().max(200).nullish(),
  password: z.string().max(500).optional(),
  new_password: passwordSchema.optional(),
});

/** The account of a path: yours for `~`, another one only for an administrator. */
async function target({ platform, account, params }: Context): Promise<AccountRow> {
  const key = params["account"] ?? "~";
  if (key === "~" || key === account.id || key.toLowerCase() === account.email) return account;
  if (account.admin !== 1) throw notFound("account");
  return await accountBy(platform, key);
}

/**
 * The hash of a new password. Who has one must give it; one who has none, as the first
 * administrator, gets the first by a token alone, and an administrator may set those of others.
 */
async function newPasswordHash(
  { platform, account: caller, body, address }: Context<z.output<typeof update>>,
  account: AccountRow,
): Promise<string | null> {
  if (body.new_password === undefined) return account.password_hash;
  if (account.id === caller.id && account.password_hash !== null) {
    if (platform.addressLimit.remaining(address) < 1) throw tooMany("address");
    if (!(await verifyPassword(body.password ?? "", account.password_hash))) {
      platform.addressLimit.take(address);
      throw invalid("password", "password is not the present password of the account.");
    }
  }
  return await hashPassword(body.new_password);
}

async function change(context: Context<z.output<typeof update>>): Promise<unknown> {
  const account = await target(context as Context);
  const { body } = context;
  const passwordHash = await newPasswordHash(context, account);
  return await context.write(async ({ tx, now, event }) => {
    const row: AccountRow = {
      ...account,
      allow_tracking:
        body.allow_tracking === undefined ? account.allow_tracking : Number(body.allow_tracking),
      beta: body.beta === undefined ? account.beta : Number(body.beta),
      name: body.name === undefined ? account.name : body.name,
      password_hash: passwordHash,
      updated_at: now,
    };
    await tx
      .updateTable("accounts")
      .set({
        allow_tracking: row.allow_tracking,
        beta: row.beta,
        name: row.name,
        password_hash: passwordHash,
        updated_at: now,
      })
      .where("id", "=", row.id)
      .execute();
    event({
      resource: "account",
      action: "update",
      data: {
        id: row.id,
        email: row.email,
        ...(body.new_password === undefined ? {} : { password_changed: true }),
      },
    });
    return presentAccount(row);
  });
}

async function remove(context: Context): Promise<unknown> {
  const account = await target(context);
  return await context.write(async ({ tx, event }) => {
    const owned = await tx
      .selectFrom("apps")
      .select("name")
      .where("owner_id", "=", account.id)
      .execute();
    if (owned.length > 0)
      throw new ApiError(
        "invalid-params",
        `The account owns ${owned.length} apps. Transfer or remove them first.`,
      );
    if (account.admin === 1) {
      const admins = await tx.selectFrom("accounts").select("id").where("admin", "=", 1).execute();
      if (admins.length === 1)
        throw new ApiError("invalid-params", "The last administrator can't be removed.");
    }
    await tx.deleteFrom("authorizations").where("account_id", "=", account.id).execute();
    await tx.deleteFrom("collaborators").where("account_id", "=", account.id).execute();
    await tx.deleteFrom("features").where("owner_id", "=", account.id).execute();
    await tx.deleteFrom("accounts").where("id", "=", account.id).execute();
    event({
      resource: "account",
      action: "destroy",
      data: { id: account.id, email: account.email },
    });
    return presentAccount(account);
  });
}

const shared = { resource: "account", response: accountSchema } as const;

/** The way to a second account: nobody signs up by themselves. */
const create = defineEndpoint({
  ...shared,
  title: "Create",
  method: "POST",
  path: "/accounts",
  verb: "manage",
  summary: "Makes an account, as an administrator; without a password it has tokens only.",
  body: z.object({
    email: z.string().max(254),
    name: z.string().max(200).nullish(),
    password: passwordSchema.nullish(),
    admin: z.boolean().nullish(),
  }),
  status: 201,
  handler: async ({ platform, account, body, write }) => {
    if (account.admin !== 1)
      throw new ApiError("forbidden", "Only an administrator can make accounts.");
    const { email, name, password, admin } = body;
    const row = await createAccount(
      platform,
      {
        email,
        admin: admin ?? false,
        ...(name ? { name } : {}),
        ...(password ? { password } : {}),
      },
      write,
    );
    return presentAccount(row);
  },
});

const own: readonly Endpoint[] = (
  [
    ["/account", ""],
    ["/users/{account}", " By User"],
  ] as const
).flatMap(([path, suffix]) => [
  defineEndpoint({
    ...shared,
    title: `Info${suffix}`,
    method: "GET",
    path,
    verb: "identity",
    summary: "Shows an account.",
    handler: async (context) => presentAccount(await target(context)),
  }),
  defineEndpoint({
    ...shared,
    title: `Update${suffix}`,
    method: "PATCH",
    path,
    verb: "manage",
    summary: "Changes an account; new_password takes the place of password.",
    body: update,
    bodyOptional: true,
    handler: change,
  }),
  defineEndpoint({
    ...shared,
    title: `Delete${suffix}`,
    method: "DELETE",
    path,
    verb: "manage",
    summary: "Removes an account that owns no apps, with its tokens.",
    handler: remove,
  }),
]);

export const accountEndpoints: readonly Endpoint[] = [create, ...own];

export const rateLimitEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "rate-limit",
    title: "Info",
    method: "GET",
    path: "/account/rate-limits",
    verb: "identity",
    summary: "Tells how many requests you have left; asking costs none.",
    free: true,
    response: z.strictObject({ remaining: z.int() }).meta({ id: "rate-limit" }),
    handler: async ({ platform, account }) => ({
      remaining: platform.accountLimit.remaining(account.id),
    }),
  }),
];
