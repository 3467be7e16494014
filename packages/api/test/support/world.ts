import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Harness } from "./harness.ts";

/** A self-signed certificate with its key, made by the openssl of the machine. */
export function makeCertificate(name: string): { readonly chain: string; readonly key: string } {
  const directory = mkdtempSync(join(tmpdir(), "dynokit-certificate-"));
  try {
    const [chain, key] = [join(directory, "chain.pem"), join(directory, "key.pem")];
    execFileSync(
      "openssl",
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -keyout ${key} -out ${chain} -subj /CN=${name} -addext subjectAltName=DNS:${name}`.split(
        " ",
      ),
      { stdio: "ignore" },
    );
    return { chain: readFileSync(chain, "utf8"), key: readFileSync(key, "utf8") };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** One of everything, so that each endpoint has something to answer with. */
export interface World {
  /** Value of each path parameter that leads to something. */
  readonly params: Readonly<Record<string, string>>;
  /** URL of a source with an `app.json`. */
  readonly setupSource: string;
  /** Names and ids that mean something here. */
  readonly words: readonly string[];
}

let certificate: { readonly chain: string; readonly key: string } | undefined;

/** Fills a platform anew; its apps go first. */
export async function fillWorld(harness: Harness): Promise<World> {
  const { call } = harness;
  const make = async (method: string, path: string, body?: unknown) => {
    const answer = await call.call(harness, method, path, body);
    if (answer.status >= 300)
      throw new Error(
        `${method} ${path}: ${answer.status} ${answer.text} ${harness.errors.at(-1) ?? ""}`,
      );
    return answer.json;
  };
  certificate ??= makeCertificate("www.example.test");
  const { api } = harness;
  for (const email of ["friend@example.test", "other@example.test"])
    await api.createAccount({ email, password: "correct horse" }).catch(() => undefined);
  for (const { id } of await make("GET", "/apps")) await make("DELETE", `/apps/${id}`);
  const app = await make("POST", "/apps", { name: "fuzz" });
  const prod = await make("POST", "/apps", { name: "prod" });
  const build = await harness.deploy("fuzz", { web: "node web.js", worker: "node worker.js" });
  await make("PATCH", "/apps/fuzz/config-vars", { WORD: "a" });
  const releases = await make("GET", "/apps/fuzz/releases");
  const domain = await make("POST", "/apps/fuzz/domains", {
    hostname: "www.example.test",
    sni_endpoint: null,
  });
  const sni = await make("POST", "/apps/fuzz/sni-endpoints", {
    certificate_chain: certificate.chain,
    private_key: certificate.key,
  });
  const drain = await make("POST", "/apps/fuzz/log-drains", { url: "https://logs.example.test/x" });
  const webhook = await make("POST", "/apps/fuzz/webhooks", {
    include: ["api:app", "api:release", "api:formation"],
    level: "notify",
    url: "http://127.0.0.1:9/hook",
  });
  await make("PATCH", "/apps/fuzz", { maintenance: false });
  const collaborator = await make("POST", "/apps/fuzz/collaborators", {
    user: "friend@example.test",
  });
  const known = await harness.call("GET", "/pipelines/line");
  const pipeline =
    known.status === 200 ? known.json : await make("POST", "/pipelines", { name: "line" });
  const coupling = await make("POST", "/pipeline-couplings", {
    app: app.id,
    pipeline: pipeline.id,
    stage: "staging",
  });
  await make("POST", "/pipeline-couplings", {
    app: prod.id,
    pipeline: pipeline.id,
    stage: "production",
  });
  const promotion = await make("POST", "/pipeline-promotions", {
    pipeline: { id: pipeline.id },
    source: { app: { id: app.id } },
    targets: [{ app: { id: prod.id } }],
  });
  const transfer = await make("POST", "/account/app-transfers", {
    app: "prod",
    recipient: "other@example.test",
  });
  const client = await make("POST", "/oauth/clients", {
    name: "a program",
    redirect_uri: "https://program.example.test/back",
  });
  const authorization = await make("POST", "/oauth/authorizations", { scope: ["read"] });
  const { source_blob: manifest } = await make("POST", "/sources");
  await harness.call(
    "PUT",
    manifest.put_url,
    JSON.stringify({ web: "x", "app.json": "{}" }),
    {},
    null,
  );
  const setup = await make("POST", "/app-setups", {
    source_blob: { url: manifest.get_url },
    app: { name: "set-up" },
  });
  await harness.api.platform.settled();
  const run = await make("POST", "/apps/fuzz/dynos", { command: "true" });
  await harness.api.platform.settled();
  const [dyno] = await make("GET", "/apps/fuzz/dynos");
  const [event] = await make("GET", "/apps/fuzz/webhook-events");
  const [delivery] = await make("GET", "/apps/fuzz/webhook-deliveries");
  const params: Record<string, string> = {
    account: "friend@example.test",
    account_feature: "idempotent-requests",
    app: "fuzz",
    team_app: "fuzz",
    app_setup: setup.id,
    app_feature: "log-runtime-metrics",
    app_transfer: transfer.id,
    app_webhook: webhook.id,
    app_webhook_delivery: delivery?.id ?? "none",
    app_webhook_event: event?.id ?? "none",
    build: build.id,
    collaborator: collaborator.id,
    team_app_collaborator: collaborator.id,
    domain: domain.hostname,
    dyno: dyno?.name ?? "web.1",
    dyno_size: "standard-1x",
    formation: "web",
    log_drain: drain.id,
    oauth_authorization: authorization.id,
    oauth_client: client.id,
    oauth_token: authorization.access_token.id,
    pipeline: pipeline.id,
    pipeline_coupling: coupling.id,
    pipeline_promotion: promotion.id,
    region: "us",
    release: "2",
    run: run.name,
    sni_endpoint: sni.name,
    slug: build.slug.id,
    stack: "heroku-24",
  };
  const words = [
    ...Object.values(params),
    app.id,
    prod.id,
    "prod",
    releases[1].id,
    "web",
    "worker",
    "+1",
    "-1",
    "Standard-2X",
    "other@example.test",
    "staging",
    "https://build.example.test/pack.tgz",
    "WORD",
    manifest.get_url,
  ];
  return { params, words, setupSource: manifest.get_url };
}
