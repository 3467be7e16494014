import { join } from "node:path";
import type { SyslogListenOptions } from "../input/syslog-listener.ts";
import { Logplex } from "../logplex.ts";
import { defined, parseConfig, readText, type ServeConfig } from "./config.ts";
import { openPlace } from "./place.ts";
import type { CommandContext } from "./run.ts";

/** Runs a server until it is asked to end. */
export async function serve(path: string, context: CommandContext): Promise<number> {
  const config = parseConfig(readText(path));
  const { directory, sessionKey } = config;
  const place = await openPlace(config);
  const logplex = new Logplex({
    retention: defined(config.retention ?? {}),
    redact: config.redact,
    buffer: place?.buffer,
    ...(config.switches === undefined ? {} : { switches: defined(config.switches) }),
    onAudit: (entry) => context.error(`audit ${JSON.stringify(entry)}\n`),
    sessionKey: sessionKey === undefined ? undefined : Buffer.from(sessionKey, "hex"),
    ...(config.routerBudget === undefined ? {} : { routerBudget: defined(config.routerBudget) }),
    drains: {
      // Drains with `onFull: "spool"` need a place of their own.
      ...(directory === undefined ? {} : { spool: { directory: join(directory, "spool") } }),
      ...(config.allowPrivateDrains === true
        ? { policy: { allowPrivate: true, allowInsecure: true } }
        : {}),
    },
  });
  try {
    await populate(logplex, config, context);
    if (config.metricsExport !== undefined) logplex.exportMetrics(defined(config.metricsExport));
    const opened = await logplex.listen({
      http: defined(config.http ?? { port: 8601 }),
      syslog: (config.syslog ?? []).map(syslogOptions),
      ...(config.udp === undefined ? {} : { udp: defined(config.udp) }),
    });
    if (opened.http !== undefined) context.out(`http ${opened.http.host}:${opened.http.port}\n`);
    for (const one of opened.syslogs) context.out(`syslog ${one.host}:${one.port}\n`);
    if (opened.udp !== undefined) context.out(`udp ${opened.udp.host}:${opened.udp.port}\n`);
    await new Promise<void>((resolve) => context.onSignal(resolve));
    return 0;
  } finally {
    await logplex.close();
    await place?.close();
  }
}

async function populate(
  logplex: Logplex,
  config: ServeConfig,
  context: CommandContext,
): Promise<void> {
  for (const credential of config.credentials ?? []) logplex.createCredential(credential);
  for (const one of config.channels ?? []) {
    const { id, alerts = [], tokens = [], drains = [], lineMetrics, ...settings } = one;
    logplex.channel(id).configure(defined(settings));
    if (lineMetrics === true) logplex.addLineMetrics(id);
    for (const token of tokens) {
      const made = logplex.createToken(id, token.name, { id: token.id });
      // Only a token that nobody knows yet has to be shown.
      if (token.id === undefined) context.out(`token ${id} ${token.name} ${made}\n`);
    }
    for (const alert of alerts) logplex.addAlert(id, defined(alert));
    for (const { url, ...options } of drains) await logplex.addDrain(id, url, defined(options));
  }
}

function syslogOptions(one: NonNullable<ServeConfig["syslog"]>[number]): SyslogListenOptions {
  const { tls, ...rest } = one;
  return {
    ...defined(rest),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            cert: readText(tls.cert),
            key: readText(tls.key),
            ...(tls.ca === undefined ? {} : { ca: readText(tls.ca) }),
          },
        }),
  };
}
