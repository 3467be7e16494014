import { useState } from "preact/hooks";
import { call, type Delivery, type Drain, list, type Webhook } from "../api.ts";
import { useAction, useLoaded } from "../ui/hooks.ts";
import { Ago, Failure, Field, Panel, RemoveButton, Rows, State } from "../ui/parts.tsx";
import type { TabProps } from "./app-view.tsx";

/** Where the app's log lines and events go to. */
export function HooksView(props: TabProps) {
  return (
    <>
      <Drains {...props} />
      <Webhooks {...props} />
    </>
  );
}

interface Ledger {
  readonly delivered?: number;
  readonly pending?: number;
  readonly lostTotal?: number;
  readonly health?: { readonly state?: string };
}

function Drains({ app }: TabProps) {
  const path = `/apps/${app.id}/log-drains`;
  const load = async () =>
    Promise.all(
      (await list<Drain>(path)).map(async (drain) => ({
        drain,
        ledger: await call<Ledger>(`${path}/${drain.id}/ledger`).catch((): Ledger => ({})),
      })),
    );
  const drains = useLoaded(load, [app.id], 5000);
  const [url, setUrl] = useState("");
  const [tested, setTested] = useState("");
  const { busy, error, run, request } = useAction();
  return (
    <Panel title="Log drains">
      <Failure message={error ?? drains.error} />
      <Rows
        items={drains.value}
        empty="No drains: the log is only here."
        keyOf={({ drain }) => drain.id}
      >
        {({ drain, ledger }) => (
          <>
            <span class="what">
              <code>{drain.url}</code>
              <span class="muted">
                <State value={ledger.health?.state ?? "unknown"} /> {ledger.delivered ?? 0}{" "}
                delivered, {ledger.pending ?? 0} pending, {ledger.lostTotal ?? 0} lost
              </span>
            </span>
            <span class="buttons">
              <button
                type="button"
                class="quiet"
                disabled={busy}
                aria-label={`Test drain ${drain.url}`}
                onClick={() =>
                  run(async () => {
                    setTested(`Testing ${drain.url} …`);
                    const result = await call<TestReport>(`${path}/${drain.id}/test`, {
                      method: "POST",
                    });
                    setTested(`${drain.url}: ${summary(result)}`);
                    drains.reload();
                  })
                }
              >
                Test
              </button>
              <RemoveButton
                name={`drain ${drain.url}`}
                disabled={busy}
                onRemove={() => request(`${path}/${drain.id}`, { method: "DELETE" }, drains.reload)}
                verb="Remove"
              />
            </span>
          </>
        )}
      </Rows>
      {tested !== "" && <p role="status">{tested}</p>}
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault();
          run(async () => {
            await call(path, { method: "POST", body: { url: url.trim() } });
            setUrl("");
            drains.reload();
          });
        }}
      >
        <Field
          label="Drain URL"
          wide
          placeholder="https://… or syslog+tls://host:6514"
          value={url}
          onValue={setUrl}
        />
        <button type="submit" disabled={busy}>
          Add drain
        </button>
      </form>
    </Panel>
  );
}

interface TestReport {
  readonly outcome?: { readonly ok?: boolean; readonly kind?: string; readonly status?: number };
  readonly latencyMs?: number;
}

/** What a test of a drain said, in a few words. */
function summary({ outcome, latencyMs }: TestReport): string {
  const what = outcome?.kind ?? (outcome?.ok === false ? "failed" : "delivered");
  const status = outcome?.status === undefined ? "" : ` (${outcome.status})`;
  return `${what}${status}${latencyMs === undefined ? "" : ` after ${Math.round(latencyMs)} ms`}`;
}

const entities = [
  "api:app",
  "api:build",
  "api:collaborator",
  "api:domain",
  "api:formation",
  "api:release",
  "api:sni-endpoint",
  "dyno",
] as const;

function Webhooks({ app }: TabProps) {
  const path = `/apps/${app.id}/webhooks`;
  const webhooks = useLoaded(() => list<Webhook>(path), [app.id]);
  const deliveries = useLoaded(
    () => list<Delivery>(`/apps/${app.id}/webhook-deliveries`, "id ..; max=20"),
    [app.id],
    5000,
  );
  const [url, setUrl] = useState("");
  const [include, setInclude] = useState<ReadonlySet<string>>(new Set(["api:release"]));
  const [secret, setSecret] = useState<string>();
  const { busy, error, run, request } = useAction();
  const toggle = (entity: string) => {
    const next = new Set(include);
    if (!next.delete(entity)) next.add(entity);
    setInclude(next);
  };
  const add = () =>
    run(async () => {
      setSecret(undefined);
      const body = { url: url.trim(), include: [...include], level: "notify" };
      const answer = await call<Webhook>(path, {
        method: "POST",
        body,
        onHeaders: (headers) => setSecret(headers.get("heroku-webhook-secret") ?? undefined),
      });
      if (answer) setUrl("");
      webhooks.reload();
    });
  return (
    <Panel title="Webhooks">
      <Failure message={error ?? webhooks.error} />
      <Rows items={webhooks.value} empty="No webhooks." keyOf={({ id }) => id}>
        {(webhook) => (
          <>
            <span class="what">
              <code>{webhook.url}</code>
              <span class="muted">
                {webhook.include.join(", ")} ({webhook.level})
              </span>
            </span>
            <RemoveButton
              name={`webhook ${webhook.url}`}
              disabled={busy}
              onRemove={() =>
                request(`${path}/${webhook.id}`, { method: "DELETE" }, webhooks.reload)
              }
            />
          </>
        )}
      </Rows>
      {secret !== undefined && (
        <p class="notice" role="status">
          Key of the signatures, shown this once: <code>{secret}</code>
        </p>
      )}
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          add();
        }}
      >
        <Field label="Webhook URL" wide placeholder="https://…" value={url} onValue={setUrl} />
        <fieldset>
          <legend>Events</legend>
          {entities.map((entity) => (
            <label key={entity} class="choice">
              <input
                type="checkbox"
                checked={include.has(entity)}
                onChange={() => toggle(entity)}
              />
              {entity}
            </label>
          ))}
        </fieldset>
        <button type="submit" disabled={busy || include.size === 0}>
          Add webhook
        </button>
      </form>
      <h3>Newest deliveries</h3>
      <Rows items={deliveries.value} empty="Nothing was sent yet." keyOf={({ id }) => id}>
        {(delivery) => (
          <span class="what">
            <span>
              {delivery.event.include} <State value={delivery.status} />
            </span>
            <span class="muted">
              {delivery.num_attempts} {delivery.num_attempts === 1 ? "attempt" : "attempts"}
              {delivery.last_attempt
                ? `, ${delivery.last_attempt.code ?? delivery.last_attempt.error_class ?? ""}`
                : ""}
              , <Ago time={delivery.updated_at} />
            </span>
          </span>
        )}
      </Rows>
    </Panel>
  );
}
