import type { ListenOptions } from "../listen/listen-options.ts";
import { Router } from "../router.ts";
import { RouteTable } from "../table/route-table.ts";
import { type CertificatePair, CertificateStore } from "../tls/certificate-store.ts";
import type { CertificateList, FromWorker, ToWorker, WireListen } from "./messages.ts";
import { Questions } from "./questions.ts";

/** Serves as one worker of a cluster until its primary process says `close` or goes away. */
export function runWorker(): void {
  const send = (message: FromWorker) => {
    if (process.connected) process.send?.(message);
  };
  const routes = new RouteTable({ onDemand: (app) => send({ type: "demand", app }) });
  const stores = new Map<number, CertificateStore>();
  const questions = new Questions(send);
  let router: Router | null = null;

  const answer = (id: number, work: Promise<unknown>) => {
    work.then(
      (value) => send({ type: "done", id, value }),
      (error: unknown) =>
        send({
          type: "failed",
          id,
          message: error instanceof Error ? error.message : String(error),
        }),
    );
  };

  process.on("message", (message: ToWorker) => {
    switch (message.type) {
      case "start":
        routes.receive(message.routes);
        router = new Router({
          ...message.settings,
          ...(message.challenges.http && {
            acmeChallenge: (token, hostname) => questions.ask<string>(hostname, token),
          }),
          ...(message.challenges.tls && {
            acmeTlsChallenge: (hostname) => questions.ask<CertificatePair>(hostname, null),
          }),
          onError: (error) => {
            const { message, stack = "" } =
              error instanceof Error ? error : new Error(String(error));
            send({ type: "error", message, stack });
          },
          routes,
          logs: {
            write: ({ channel, lines, at }) =>
              send({
                type: "log",
                channel,
                lines: lines.map((line) => Buffer.from(line).toString("utf8")),
                at,
              }),
          },
        });
        send({ type: "started" });
        break;
      case "answer":
        questions.answered(message.id, message.value);
        break;
      case "routes":
        routes.receive(message.message);
        break;
      case "listen":
        answer(message.id, (router as Router).listen(unwire(message.listen, message.id, stores)));
        break;
      case "certificates":
        update(stores.get(message.id), message.certificates);
        break;
      case "drain":
        answer(
          message.id,
          routes.drain(message.app, message.backend, { timeoutMs: message.timeoutMs }),
        );
        break;
      case "metrics":
        answer(message.id, Promise.resolve((router as Router).metrics()));
        break;
      case "close":
        answer(message.id, (router as Router).close(message.options));
        break;
    }
  });
  send({ type: "ready" });
  // Without a primary nobody would ever end this process.
  process.on("disconnect", () => process.exit(0));
  // The primary decides when to end; a signal to the whole group must not cut requests.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
}

function unwire(
  listen: WireListen,
  id: number,
  stores: Map<number, CertificateStore>,
): ListenOptions {
  if (listen.tls === undefined) return listen.options;
  const certificates = new CertificateStore();
  update(certificates, listen.tls.certificates);
  stores.set(id, certificates);
  return {
    ...listen.options,
    tls: {
      certificates,
      http2: listen.tls.http2,
      requireSni: listen.tls.requireSni,
      checkHost: listen.tls.checkHost,
      ticketKeys: Buffer.from(listen.tls.ticketKeys, "base64"),
    },
  };
}

function update(store: CertificateStore | undefined, list: CertificateList): void {
  if (store === undefined) return;
  for (const { name } of store.list())
    if (!list.some((entry) => entry.name === name)) store.remove(name);
  for (const { name, pair, fallback } of list) store.put(name, pair, { fallback });
}
