import type { OneOffSessionPort } from "../ports.ts";
import type { ReleaseRow } from "../store/tables.ts";
import { readConfig } from "./config.ts";
import { processTypesOf, releasePort, slugById, slugPort } from "./desired.ts";
import { LineSplitter } from "./lines.ts";
import { messageOf, type Platform } from "./platform.ts";

/**
 * Runs the `release` command of a release's code, if it has one, in a one-off dyno. Its output
 * goes to the app's logs as `app[release.N]` and to the release's output stream.
 *
 * @returns whether the release may become current.
 */
export async function runReleasePhase(
  platform: Platform,
  release: ReleaseRow,
  output?: (chunk: Uint8Array) => void,
): Promise<boolean> {
  const slug = release.slug_id === null ? undefined : await slugById(platform.db, release.slug_id);
  const command = processTypesOf(slug)["release"];
  if (!slug || command === undefined || release.output_id === null) return true;
  const app = await platform.db
    .selectFrom("apps")
    .select(["id", "name"])
    .where("id", "=", release.app_id)
    .executeTakeFirst();
  if (!app) return false;
  const streamId = release.output_id;
  const size = await platform.db
    .selectFrom("processes")
    .select("size")
    .where("app_id", "=", app.id)
    .where("type", "=", "release")
    .executeTakeFirst();
  platform.outputs.open(streamId);
  platform.say(
    app.id,
    `Running release v${release.version} commands by user ${release.user_email}`,
  );
  const deadline = AbortSignal.any([
    platform.closing.signal,
    AbortSignal.timeout(platform.limits.releaseTimeoutMs),
  ]);
  let session: OneOffSessionPort | undefined;
  try {
    session = await platform.manifold.run({
      app: app.id,
      name: app.name,
      type: "release",
      command,
      release: releasePort(release, slug),
      slug: slugPort(slug),
      env: await readConfig(platform, platform.db, release.config_id),
      size: size?.size ?? platform.defaultSize,
      attach: true,
      timeToLiveMs: platform.limits.releaseTimeoutMs,
    });
    const reading = copyOutput(platform, app.id, session, (chunk) => {
      platform.outputs.write(streamId, chunk);
      output?.(chunk);
    });
    const exit = await session.wait({ signal: deadline });
    await reading;
    if (exit.exitCode === 0) return true;
    const how = exit.signal === null ? `status ${exit.exitCode}` : exit.signal;
    platform.outputs.write(streamId, ` !     Release command failed: it ended with ${how}.\n`);
    return false;
  } catch (error) {
    const why = deadline.aborted ? "it took too long or the platform stopped" : messageOf(error);
    platform.outputs.write(streamId, ` !     Release command failed: ${why}.\n`);
    platform.logger.warn({ app: app.id, error: messageOf(error) }, "a release command failed");
    if (!platform.closing.signal.aborted) await session?.stop().catch(() => undefined);
    return false;
  } finally {
    await platform.outputs.end(streamId);
  }
}

/** Copies what an attached one-off prints; a driver that cannot attach runs it all the same. */
export async function copyOutput(
  platform: Platform,
  appId: string,
  session: OneOffSessionPort,
  write: (chunk: Uint8Array) => void,
): Promise<void> {
  const lines = new LineSplitter();
  const log = (batch: readonly Uint8Array[]) =>
    batch.length === 0 ? undefined : platform.writeLines(appId, "app", session.dyno.dyno, batch);
  try {
    const streams = await session.open();
    await streams.end().catch(() => undefined);
    for await (const { bytes } of streams.output) {
      write(bytes);
      await log(lines.push(bytes));
    }
  } catch (error) {
    // The command's own end decides; without its output it is still the command that counts.
    platform.logger.warn(
      { app: appId, error: messageOf(error) },
      "the output of a command was lost",
    );
  }
  await log(lines.end());
}
