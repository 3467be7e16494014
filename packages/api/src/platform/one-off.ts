import type { DynoPort, OneOffSessionPort, SessionStreamsPort } from "../ports.ts";
import type { AppRow, ReleaseRow } from "../store/tables.ts";
import { readConfig } from "./config.ts";
import { processTypesOf, releasePort, slugById, slugPort } from "./desired.ts";
import type { Platform } from "./platform.ts";

/** What a one-off dyno is to run. */
export interface OneOffRequest {
  /** A command, or the name of a process type with more arguments. */
  readonly command: string;
  readonly attach: boolean;
  readonly env: Readonly<Record<string, string>>;
  readonly noTty: boolean;
  readonly size: string | undefined;
  readonly type: string;
  readonly timeToLiveMs: number | undefined;
}

/** Starts a one-off dyno with the code and config vars of a release. */
export async function runOneOff(
  platform: Platform,
  app: AppRow,
  release: ReleaseRow,
  request: OneOffRequest,
): Promise<{ readonly session: OneOffSessionPort; readonly attachUrl: string | null }> {
  const slug = await slugById(platform.db, release.slug_id ?? "");
  const tty = request.attach && !request.noTty;
  const session = await platform.manifold.run({
    app: app.id,
    name: app.name,
    type: request.type,
    command: expandCommand(request.command, processTypesOf(slug)),
    release: releasePort(release, slug),
    ...(slug ? { slug: slugPort(slug) } : {}),
    env: await readConfig(platform, platform.db, release.config_id),
    overrides: request.env,
    size: request.size ?? platform.defaultSize,
    attach: request.attach,
    ...(tty ? { tty: terminalSize(request.env) } : {}),
    ...(request.timeToLiveMs === undefined ? {} : { timeToLiveMs: request.timeToLiveMs }),
  });
  const attachUrl =
    request.attach && platform.rendezvous ? platform.rendezvous.offer(session, { tty }) : null;
  return { session, attachUrl };
}

/** `worker 42` runs the command of the type `worker` with `42` added (spec/dynos.md §9). */
export function expandCommand(
  command: string,
  processTypes: Readonly<Record<string, string>>,
): string {
  const match = /^\s*([-\w]+)(?=\s|$)/.exec(command);
  const name = match?.[1];
  if (!match || name === undefined || !Object.hasOwn(processTypes, name)) return command;
  return `${processTypes[name]}${command.slice(match[0].length)}`;
}

/** Offers a place to connect to a command inside a dyno; it starts when the client is there. */
export function runInside(
  platform: Platform,
  app: AppRow,
  dyno: DynoPort,
  request: Pick<OneOffRequest, "command" | "env" | "noTty">,
): string | null {
  const tty = !request.noTty;
  const size = terminalSize(request.env);
  let streams: Promise<SessionStreamsPort> | undefined;
  const open = async () => {
    const { manifold } = platform;
    if (!manifold.exec) throw new Error("This platform can't run commands inside dynos.");
    streams ??= manifold.exec(app.id, dyno.dyno, ["sh", "-c", request.command], {
      env: request.env,
      ...(tty ? { tty: size } : {}),
    });
    return await streams;
  };
  const session: OneOffSessionPort = {
    dyno,
    open,
    wait: async () => await (await open()).wait(),
    stop: async () => await (await streams)?.close(),
  };
  return platform.rendezvous?.offer(session, { tty }) ?? null;
}

/** A terminal's size comes once, with the environment. */
function terminalSize(env: Readonly<Record<string, string>>): { columns: number; rows: number } {
  const size = (text: string | undefined, fallback: number) => {
    const value = Number(text);
    return Number.isInteger(value) && value >= 1 && value <= 10_000 ? value : fallback;
  };
  return { columns: size(env["COLUMNS"], 80), rows: size(env["LINES"], 24) };
}
