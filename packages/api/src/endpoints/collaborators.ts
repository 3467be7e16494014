import { z } from "zod";
import { presentTime } from "../clock.ts";
import { ApiError, invalid, notFound } from "../errors.ts";
import { type Context, defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { identity, reference, timestamp, uuid } from "../resources/common.ts";
import type { Queries } from "../store/store.ts";
import type { AccountRow, AppRow, CollaboratorRow } from "../store/tables.ts";

const collaboratorSchema = z
  .strictObject({
    app: reference,
    created_at: timestamp,
    id: uuid,
    permissions: z.array(z.strictObject({ name: z.string(), description: z.string() })),
    role: z.enum(["admin", "collaborator", "member", "owner"]).nullable(),
    updated_at: timestamp,
    user: z.strictObject({ email: z.string(), federated: z.boolean(), id: uuid }),
  })
  .meta({ id: "collaborator" });

type Row = CollaboratorRow & { readonly email: string };

const rights = [
  { name: "view", description: "Can see the app." },
  { name: "deploy", description: "Can deploy, roll back and set config vars." },
  { name: "operate", description: "Can scale, restart and run." },
];

/** The owner counts as one. */
async function membersOf(queries: Queries, app: AppRow): Promise<Row[]> {
  const owner = await queries
    .selectFrom("accounts")
    .select(["id", "email"])
    .where("id", "=", app.owner_id)
    .executeTakeFirst();
  const rows = await queries
    .selectFrom("collaborators")
    .innerJoin("accounts", "accounts.id", "collaborators.account_id")
    .selectAll("collaborators")
    .select("accounts.email")
    .where("collaborators.app_id", "=", app.id)
    .execute();
  const own: Row[] = owner
    ? [
        {
          // The app's own id names its ownership: there is exactly one.
          id: app.id,
          app_id: app.id,
          account_id: owner.id,
          role: "owner",
          permissions: "[]",
          created_at: app.created_at,
          updated_at: app.created_at,
          email: owner.email,
        },
      ]
    : [];
  return [...own, ...rows];
}

function present(app: AppRow, row: Row): z.output<typeof collaboratorSchema> {
  return {
    app: { id: app.id, name: app.name },
    created_at: presentTime(row.created_at),
    id: row.id,
    permissions: rights,
    role: row.role as "collaborator" | "owner",
    updated_at: presentTime(row.updated_at),
    user: { email: row.email, federated: false, id: row.account_id },
  };
}

async function memberBy(
  queries: Queries,
  app: AppRow,
  caller: AccountRow,
  key: string,
): Promise<Row> {
  const wanted = key === "~" ? caller.id : key;
  const row = (await membersOf(queries, app)).find(
    ({ id, email, account_id: account }) =>
      id === wanted || email === wanted.toLowerCase() || account === wanted,
  );
  if (!row) throw notFound("collaborator");
  return row;
}

/** The account that an e-mail, an id or `~` names. */
export async function accountNamed(
  queries: Queries,
  account: AccountRow,
  key: string,
): Promise<AccountRow> {
  if (key === "~") return account;
  const row = await queries
    .selectFrom("accounts")
    .selectAll()
    .where((expression) =>
      expression.or([expression("id", "=", key), expression("email", "=", key.toLowerCase())]),
    )
    .executeTakeFirst();
  if (!row)
    throw invalid(
      "user",
      `There is no account ${JSON.stringify(key)} on this platform. Have it made first.`,
    );
  return row;
}

function assertOwner({ app, account }: Context): void {
  if (app.owner_id !== account.id && account.admin !== 1)
    throw new ApiError("forbidden", "Only the owner of an app can change who has access.", {
      app: { name: app.name },
    });
}

const userInput = z.union([
  identity,
  z
    .object({ id: identity.optional(), email: identity.optional() })
    .transform(({ id, email }) => id ?? email ?? ""),
]);

const shared = { resource: "collaborator", response: collaboratorSchema } as const;

export const collaboratorEndpoints: readonly Endpoint[] = (
  [
    ["/apps/{app}/collaborators", "{collaborator}", ""],
    ["/teams/apps/{team_app}/collaborators", "{team_app_collaborator}", "Team App "],
  ] as const
).flatMap(([base, last, prefix]) => {
  const parameter = last.slice(1, -1);
  return [
    defineEndpoint({
      ...shared,
      title: `${prefix}Create`,
      method: "POST",
      path: base,
      verb: "manage",
      summary: "Gives an account access to an app.",
      body: z.object({
        user: userInput,
        silent: z.boolean().nullish(),
        permissions: z.array(z.string()).nullish(),
      }),
      status: 201,
      handler: async (context) => {
        const { platform, app, account, body, write } = context;
        assertOwner(context as Context);
        return await write(async ({ tx, now, event, after, actor }) => {
          const user = await accountNamed(tx, account, body.user);
          if ((await membersOf(tx, app)).some((row) => row.account_id === user.id))
            throw invalid("user", `${user.email} has access already.`);
          const row: CollaboratorRow = {
            id: platform.uuid(),
            app_id: app.id,
            account_id: user.id,
            role: "collaborator",
            permissions: "[]",
            created_at: now,
            updated_at: now,
          };
          await tx.insertInto("collaborators").values(row).execute();
          const document = present(app, { ...row, email: user.email });
          event({
            app: app.id,
            resource: "collaborator",
            action: "create",
            data: document,
          });
          after(() =>
            platform.say(app.id, `Add collaborator ${user.email} by user ${actor.email}`),
          );
          return document;
        });
      },
    }),
    defineEndpoint({
      ...shared,
      title: `${prefix}List`,
      method: "GET",
      path: base,
      verb: "read",
      summary: "Lists the accounts that have access to an app.",
      ranges: ["id"],
      handler: async ({ platform, app }) =>
        (await membersOf(platform.db, app)).map((row) => present(app, row)),
    }),
    defineEndpoint({
      ...shared,
      title: `${prefix}Info`,
      method: "GET",
      path: `${base}/${last}`,
      verb: "read",
      summary: "Shows who has access, by id or e-mail; ~ is you.",
      handler: async ({ platform, app, account, params }) =>
        present(app, await memberBy(platform.db, app, account, params[parameter] ?? "")),
    }),
    ...(prefix === ""
      ? []
      : [
          defineEndpoint({
            ...shared,
            title: `${prefix}Update`,
            method: "PATCH",
            path: `${base}/${last}`,
            verb: "manage",
            summary: "Shows who has access; everyone who has it has the same rights.",
            body: z.object({ permissions: z.array(z.string().max(100)).max(20) }),
            handler: async (context) => {
              assertOwner(context as Context);
              const { platform, app, account, params } = context;
              const key = params[parameter] ?? "";
              return present(app, await memberBy(platform.db, app, account, key));
            },
          }),
        ]),
    defineEndpoint({
      ...shared,
      title: `${prefix}Delete`,
      method: "DELETE",
      path: `${base}/${last}`,
      verb: "operate",
      summary: "Takes an account's access away; anyone can leave.",
      handler: async (context) => {
        const { platform, app, account, params, write } = context;
        return await write(async ({ tx, event, after, actor }) => {
          const row = await memberBy(tx, app, account, params[parameter] ?? "");
          if (row.account_id !== account.id) assertOwner(context);
          if (row.role === "owner")
            throw invalid("collaborator", "The owner keeps access. Transfer the app first.");
          await tx.deleteFrom("collaborators").where("id", "=", row.id).execute();
          const document = present(app, row);
          event({
            app: app.id,
            resource: "collaborator",
            action: "destroy",
            data: document,
          });
          after(() =>
            platform.say(app.id, `Remove collaborator ${row.email} by user ${actor.email}`),
          );
          return document;
        });
      },
    }),
  ];
});
