import { readConfig } from "../platform/config.ts";
import { processTypesOf, releasePort, slugById, slugPort } from "../platform/desired.ts";
import { expandCommand } from "../platform/one-off.ts";
import type { Platform } from "../platform/platform.ts";
import { copyOutput } from "../platform/release-phase.ts";
import type { ReleaseRow } from "../store/tables.ts";
import type { Manifest } from "./manifest.ts";

/** Type of the one-off dyno that a postdeploy script runs in. */
export const postdeployType = "postdeploy";

/** Bytes of output that the report of a setup keeps; the app's logs have all of it. */
const maxOutputBytes = 64 * 1024;

/** How a postdeploy script ended. */
export interface PostdeployResult {
  /** `null` when a signal ended it. */
  readonly exitCode: number | null;
  readonly output: string;
}

/**
 * Runs the script in a one-off dyno on a release.
 *
 * @throws when the dyno can't start, or the script takes longer than a release command may.
 */
export async function runPostdeploy(
  platform: Platform,
  app: { readonly id: string; readonly name: string },
  release: ReleaseRow,
  script: NonNullable<Manifest["postdeploy"]>,
): Promise<PostdeployResult> {
  const slug = await slugById(platform.db, release.slug_id ?? "");
  const limit = platform.limits.releaseTimeoutMs;
  const signal = AbortSignal.any([platform.closing.signal, AbortSignal.timeout(limit)]);
  const session = await platform.manifold.run({
    app: app.id,
    name: app.name,
    type: postdeployType,
    command: expandCommand(script.command, processTypesOf(slug)),
    release: releasePort(release, slug),
    ...(slug ? { slug: slugPort(slug) } : {}),
    env: await readConfig(platform, platform.db, release.config_id),
    size: script.size ?? platform.defaultSize,
    attach: true,
    timeToLiveMs: limit,
  });
  const kept: Uint8Array[] = [];
  let bytes = 0;
  try {
    const reading = copyOutput(platform, app.id, session, (chunk) => {
      if (bytes < maxOutputBytes) kept.push(chunk.subarray(0, maxOutputBytes - bytes));
      bytes += chunk.length;
    });
    const { exitCode } = await session.wait({ signal });
    await reading;
    return { exitCode, output: textOf(kept, bytes > maxOutputBytes) };
  } catch (error) {
    if (!platform.closing.signal.aborted) await session.stop().catch(() => undefined);
    if (signal.aborted)
      throw new Error("The postdeploy script took too long or the platform stopped.", {
        cause: error,
      });
    throw error;
  }
}

/** PostgreSQL keeps no zero bytes in text. */
function textOf(chunks: readonly Uint8Array[], cut: boolean): string {
  const text = Buffer.concat(chunks).toString("utf8").replaceAll("\0", "\ufffd");
  return cut ? `${text}\n(cut here; the app's logs have all of it)\n` : text;
}
