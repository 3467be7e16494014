import type { AdministratorOptions, Api, ApiOptions } from "./api.ts";
import { createAccount } from "./auth/accounts.ts";
import { systemClock } from "./clock.ts";
import { RateLimiter } from "./http/rate-limit.ts";
import { silentLogger } from "./logger.ts";
import { DynoRecorder } from "./metrics/dyno-recorder.ts";
import { ChangeFollower } from "./platform/follow.ts";
import { Platform, type PlatformLimits } from "./platform/platform.ts";
import { restore } from "./platform/start.ts";
import { checkUrl, RunningApi } from "./running-api.ts";

const defaultLimits: PlatformLimits = {
  maxUploadBytes: 512 * 1024 * 1024,
  releaseTimeoutMs: 60 * 60 * 1000,
  maxQueuedPerApp: 100,
  maxApps: 10_000,
};

/**
 * Makes the control plane over a store and its neighbours, and brings them to the stored state.
 *
 * @throws ApiError `bad-request` for options that can't be used.
 * @example
 * const api = await createApi({ store: await openStore("./data"), manifold, routes, logplex });
 * await api.listen({ port: 5000 });
 */
export async function createApi(options: ApiOptions): Promise<Api> {
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  const { rateLimit, failureLimit } = options.auth ?? {};
  const platform = new Platform({
    store: options.store,
    presence: await options.store.join(),
    manifold: options.manifold,
    routes: options.routes,
    logplex: options.logplex,
    builder: options.builder,
    clock,
    logger,
    appDomain: (options.appDomain ?? "localhost").toLowerCase(),
    defaultSize: options.defaultSize ?? "Standard-1X",
    limits: { ...defaultLimits, ...options.limits },
    accountLimit: new RateLimiter(clock, rateLimit ?? { capacity: 4500, refillPerMinute: 75 }),
    addressLimit: new RateLimiter(clock, failureLimit ?? { capacity: 60, refillPerMinute: 10 }),
  });
  if (options.publicUrl !== undefined) platform.baseUrl = checkUrl(options.publicUrl);
  if (options.webUrl) platform.webUrlOf = options.webUrl;
  await ensureAdministrator(platform, options.administrator);
  // Before the manifold tells of dynos that ended while no platform was there.
  const recorder = new DynoRecorder(platform);
  try {
    await restore(platform);
    return new RunningApi(platform, options, await ChangeFollower.start(platform), recorder);
  } catch (error) {
    await recorder.close();
    throw error;
  }
}

/** There is always one account, so that a first token can be made. */
async function ensureAdministrator(
  platform: Platform,
  { email, password }: AdministratorOptions = {},
): Promise<void> {
  const any = () => platform.db.selectFrom("accounts").select("id").executeTakeFirst();
  if (await any()) return;
  await createAccount(platform, {
    email: email ?? `admin@${platform.appDomain}`,
    name: "Administrator",
    admin: true,
    ...(password === undefined ? {} : { password }),
  }).catch(async (error: unknown) => {
    // Another process that starts on the same store may have been quicker.
    if (!(await any())) throw error;
  });
}
