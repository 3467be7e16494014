import PQueue from "p-queue";
import { z } from "zod";
import { maxUpdates } from "./git-hook-program.ts";
import { git } from "./git-repositories.ts";

/** A branch that deploys was pushed; the push waits for the outcome. */
export interface GitPush {
  readonly app: { readonly id: string; readonly name: string };
  readonly user: { readonly id: string; readonly email: string };
  readonly branch: "main" | "master";
  readonly commit: string;
  /**
   * The code, as the builder takes it. Its objects are in git's quarantine until the push is
   * accepted, so it can be read only while the handler runs.
   */
  readonly source: {
    readonly kind: "git";
    readonly repository: string;
    readonly commit: string;
    readonly objectDirectory?: string;
    readonly alternateObjectDirectories?: string;
  };
  /** Shown to the user as `remote: …`, live. */
  readonly output: (chunk: Uint8Array) => void;
  /** Aborted when the server closes; not when the client goes: a push that was received is built. */
  readonly signal: AbortSignal;
}

/**
 * Deploys a push. Resolving accepts it; rejecting refuses it, and the error's message is shown
 * to the user unless the output said it already.
 */
export type GitPushHandler = (push: GitPush) => Promise<void>;

/** Whose push a hook speaks for. */
export interface PushContext {
  readonly app: GitPush["app"];
  readonly user: GitPush["user"];
  readonly repository: string;
  /** Resolves when git has ended: only then has an accepted push changed its branch. */
  readonly ended: Promise<void>;
}

const objectId = z.string().regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/);
/** What the hook sends. */
export const hookMessage = z.object({
  token: z.string(),
  updates: z
    .array(z.object({ from: objectId, to: objectId, ref: z.string().max(4096) }))
    .max(maxUpdates),
  objectDirectory: z.string().optional(),
  alternateObjectDirectories: z.string().optional(),
});

/** What the hook sends, checked. */
export type HookMessage = z.infer<typeof hookMessage>;

/** Pushes of one app that may wait for the one that is being built. */
const MAX_WAITING = 10;
/** Characters of the output in which a reason is looked for that need not be told again. */
const TAIL = 4000;

/** Judges pushes: which branch deploys, what may not be done, one at a time for each app. */
export class PushJudge {
  readonly #handler: GitPushHandler;
  readonly #signal: AbortSignal;
  readonly #queues = new Map<string, PQueue>();

  constructor(handler: GitPushHandler, signal: AbortSignal) {
    this.#handler = handler;
    this.#signal = signal;
  }

  /** Resolves to true when git may take the push. Never rejects. */
  async judge(
    context: PushContext,
    message: HookMessage,
    output: (chunk: Uint8Array) => void,
  ): Promise<boolean> {
    const say = (text: string) => output(Buffer.from(text));
    const deploying = message.updates.filter(({ ref }) => branchOf(ref) !== undefined);
    const [update] = deploying;
    if (deploying.length > 1) {
      say(" !     Push either main or master, not both at once.\n");
      return false;
    }
    if (update === undefined) {
      // As on Heroku: other branches are kept, and nothing is built.
      if (message.updates.some(({ ref }) => ref.startsWith("refs/heads/")))
        say(
          "Pushed to a branch other than main, skipping build.\nTo deploy a branch, push it as main: git push <remote> <branch>:main\n",
        );
      return true;
    }
    const branch = branchOf(update.ref)!;
    if (/^0+$/.test(update.to)) {
      say(` !     The branch ${branch} can't be deleted: it is what is deployed.\n`);
      return false;
    }
    const queue = this.#queueOf(context.app.id);
    if (queue.pending > 0) {
      if (queue.size >= MAX_WAITING) {
        say(" !     Too many pushes wait for this app. Try again later.\n");
        return false;
      }
      say("Waiting for another push to this app to finish...\n");
    }
    return await new Promise<boolean>((resolve, reject) => {
      queue
        .add(async () => {
          resolve(await this.#deploy(context, message, update, branch, output));
          // The next push must see the branch as this one leaves it.
          await context.ended;
        })
        .catch(reject)
        .finally(() => {
          if (queue.pending === 0 && queue.size === 0) this.#queues.delete(context.app.id);
        });
    });
  }

  async #deploy(
    context: PushContext,
    message: HookMessage,
    update: HookMessage["updates"][number],
    branch: GitPush["branch"],
    output: (chunk: Uint8Array) => void,
  ): Promise<boolean> {
    const say = (text: string) => output(Buffer.from(text));
    const { objectDirectory, alternateObjectDirectories } = message;
    const { repository } = context;
    let tail = "";
    try {
      const current = await git(["for-each-ref", "--format=%(objectname)", update.ref], repository);
      // git would find out too, but only after the build.
      if (current !== (/^0+$/.test(update.from) ? "" : update.from)) {
        say(` !     ${branch} was changed by another push meanwhile. Fetch and push again.\n`);
        return false;
      }
      // git asks its hook also about what it will refuse itself afterwards.
      if (!(await isCommit(update.to, repository, message))) {
        say(` !     What was pushed to ${branch} is no commit, or did not come whole.\n`);
        return false;
      }
      await this.#handler({
        app: context.app,
        user: context.user,
        branch,
        commit: update.to,
        source: {
          kind: "git",
          repository,
          commit: update.to,
          ...(objectDirectory === undefined ? {} : { objectDirectory }),
          ...(alternateObjectDirectories === undefined ? {} : { alternateObjectDirectories }),
        },
        output: (chunk) => {
          tail = `${tail}${Buffer.from(chunk).toString("utf8")}`.slice(-TAIL);
          output(chunk);
        },
        signal: this.#signal,
      });
      // What was deployed last is what a clone should show.
      await git(["symbolic-ref", "HEAD", update.ref], repository);
      return true;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (!tail.includes(text))
        say(
          text
            .split("\n")
            .map((line) => ` !     ${line}\n`)
            .join(""),
        );
      if (!tail.includes("Push rejected")) say(" !\n !     Push rejected.\n");
      return false;
    }
  }

  #queueOf(app: string): PQueue {
    let queue = this.#queues.get(app);
    if (queue === undefined) {
      queue = new PQueue({ concurrency: 1 });
      this.#queues.set(app, queue);
    }
    return queue;
  }
}

async function isCommit(
  id: string,
  repository: string,
  { objectDirectory, alternateObjectDirectories }: HookMessage,
): Promise<boolean> {
  const variables = {
    ...(objectDirectory === undefined ? {} : { GIT_OBJECT_DIRECTORY: objectDirectory }),
    ...(alternateObjectDirectories === undefined
      ? {}
      : { GIT_ALTERNATE_OBJECT_DIRECTORIES: alternateObjectDirectories }),
  };
  try {
    return (await git(["cat-file", "-t", id], repository, variables)) === "commit";
  } catch {
    // It does not exist.
    return false;
  }
}

function branchOf(ref: string): GitPush["branch"] | undefined {
  if (ref === "refs/heads/main") return "main";
  return ref === "refs/heads/master" ? "master" : undefined;
}
