import type { DynoRecord } from "./record.ts";
import { seconds } from "./step.ts";

/** The text of R10. */
export function bootTimeoutText(record: Pick<DynoRecord, "type" | "policy">): string {
  const name = record.type === "web" ? "Web" : record.type;
  return `${name} process failed to bind to $PORT within ${seconds(record.policy.bootTimeoutMs)} of launch`;
}

/** What to change, from what the dyno was seen to listen on. */
export function listeningAdvice(
  listening: readonly { readonly host: string; readonly port: number }[],
  port: number | undefined,
): string | undefined {
  if (listening.length === 0) return "It listens on no port";
  const onPort = listening.filter((one) => one.port === port);
  const loopback = onPort.some(({ host }) => host === "127.0.0.1" || host === "::1");
  if (loopback) return "It listens on the loopback address only; bind 0.0.0.0 or [::]";
  if (onPort.length > 0) return undefined;
  const seen = listening.map((one) => one.port).join(", ");
  return `It listens on ${seen}; use the PORT variable`;
}
