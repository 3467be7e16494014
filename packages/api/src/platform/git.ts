import { findApp } from "../auth/apps.ts";
import { authenticateToken } from "../auth/authenticate.ts";
import { allows } from "../auth/scopes.ts";
import { ApiError } from "../errors.ts";
import type { BuildSourcePort } from "../ports.ts";
import { recordBuild, runBuild } from "./builds.ts";
import type { Platform } from "./platform.ts";

/** Who asks for which repository. */
export interface GitAccessQuery {
  readonly app: string;
  readonly service: "git-upload-pack" | "git-receive-pack";
  readonly username: string;
  readonly password: string;
}

/** Whether a client may read from or push to a repository. */
export type GitAccessAnswer =
  | {
      readonly allowed: true;
      readonly app: { readonly id: string; readonly name: string };
      readonly user: { readonly id: string; readonly email: string };
    }
  | {
      readonly allowed: false;
      readonly status: 401 | 403 | 404 | 429 | 503;
      readonly message: string;
      readonly retryAfterSeconds?: number;
    };

/** Answers git's question with the rights of the token that is its password. */
export async function gitAccess(
  platform: Platform,
  query: GitAccessQuery,
): Promise<GitAccessAnswer> {
  try {
    platform.assertOpen();
    const identity = await authenticateToken(platform, query.password);
    if (!identity) return { allowed: false, status: 401, message: "Invalid credentials provided." };
    const { account, grant } = identity;
    if (!platform.accountLimit.take(account.id))
      return {
        allowed: false,
        status: 429,
        message: "Your account reached the API rate limit. Please wait a few minutes.",
        retryAfterSeconds: 30,
      };
    const app = await findApp(platform.db, account, query.app);
    const verb = query.service === "git-receive-pack" ? "deploy" : "read";
    if (!allows(grant, verb, app.id))
      return {
        allowed: false,
        status: 403,
        message: `This token may not ${verb} ${app.name}.`,
      };
    return {
      allowed: true,
      app: { id: app.id, name: app.name },
      user: { id: account.id, email: account.email },
    };
  } catch (error) {
    if (!ApiError.is(error)) throw error;
    const status = ([403, 404, 503] as const).find((one) => one === error.status) ?? 403;
    const message =
      status === 404 ? `There is no app ${query.app} that you can see.` : error.message;
    return { allowed: false, status, message };
  }
}

/** A push to the branch that deploys. */
export interface GitPushInput {
  readonly app: { readonly id: string; readonly name: string };
  readonly user: { readonly id: string; readonly email: string };
  readonly commit: string;
  readonly source: BuildSourcePort;
  readonly output: (chunk: Uint8Array) => void;
}

/** Builds and releases a push. @throws ApiError `invalid-params` when it must be refused. */
export async function gitPush(platform: Platform, push: GitPushInput): Promise<void> {
  const app = await platform.db
    .selectFrom("apps")
    .selectAll()
    .where("id", "=", push.app.id)
    .executeTakeFirst();
  if (!app) throw new ApiError("not-found", `The app ${push.app.name} is gone.`);
  const input = {
    app,
    source: push.source,
    blob: {
      url: `${platform.publicUrl}/${app.name}.git`,
      version: push.commit,
      version_description: null,
      checksum: null,
    },
    buildpacks: null,
    output: push.output,
  };
  const build = await platform.write(push.user, async (unit) => recordBuild(platform, unit, input));
  const result = await runBuild(platform, push.user, input, build);
  if (result.error !== undefined) throw new ApiError("invalid-params", result.error);
}
