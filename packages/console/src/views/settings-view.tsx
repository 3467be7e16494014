import { useState } from "preact/hooks";
import { call, type Domain, type Drain, list } from "../api.ts";
import { useAction, useLoaded } from "../ui/hooks.ts";
import { Failure, Panel } from "../ui/parts.tsx";
import type { TabProps } from "./app-view.tsx";

export function SettingsView(props: TabProps) {
  return (
    <>
      <Maintenance {...props} />
      <Domains {...props} />
      <Drains {...props} />
      <Listing
        app={props.app.id}
        title="Certificates"
        path="sni-endpoints"
        text={(row) => `${row["name"]}`}
      />
      <Listing
        app={props.app.id}
        title="Webhooks"
        path="webhooks"
        text={(row) => `${row["url"]} (${row["level"]})`}
      />
      <Listing
        app={props.app.id}
        title="Access"
        path="collaborators"
        text={(row) => `${(row["user"] as { email: string }).email} (${row["role"]})`}
      />
      <Destroy {...props} />
    </>
  );
}

function Maintenance({ app, reload }: TabProps) {
  const { busy, error, run } = useAction();
  const toggle = () =>
    run(async () => {
      await call(`/apps/${app.id}`, { method: "PATCH", body: { maintenance: !app.maintenance } });
      reload();
    });
  return (
    <Panel title="Maintenance">
      <Failure message={error} />
      <div class="actions">
        <span>Maintenance mode is {app.maintenance ? "on" : "off"}.</span>
        <button type="button" disabled={busy} onClick={toggle}>
          Turn {app.maintenance ? "off" : "on"}
        </button>
      </div>
    </Panel>
  );
}

function Domains({ app }: TabProps) {
  const path = `/apps/${app.id}/domains`;
  const domains = useLoaded(() => list<Domain>(path), [app.id]);
  const [hostname, setHostname] = useState("");
  const { busy, error, run } = useAction();
  return (
    <Panel title="Domains">
      <Failure message={error ?? domains.error} />
      <ul class="rows">
        {domains.value?.map((domain) => (
          <li key={domain.id}>
            <code>{domain.hostname}</code>
            <span class="muted">
              {domain.kind === "custom" ? `CNAME ${domain.cname ?? ""}` : "given by the platform"}
            </span>
            {domain.kind === "custom" && (
              <button
                type="button"
                class="quiet danger"
                disabled={busy}
                aria-label={`Remove ${domain.hostname}`}
                onClick={() =>
                  run(async () => {
                    await call(`${path}/${domain.id}`, { method: "DELETE" });
                    domains.reload();
                  })
                }
              >
                Remove
              </button>
            )}
          </li>
        ))}
      </ul>
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault();
          run(async () => {
            await call(path, {
              method: "POST",
              body: { hostname: hostname.trim(), sni_endpoint: null },
            });
            setHostname("");
            domains.reload();
          });
        }}
      >
        <label>
          Host name
          <input
            required
            value={hostname}
            onInput={(event) => setHostname(event.currentTarget.value)}
          />
        </label>
        <button type="submit" disabled={busy}>
          Add domain
        </button>
      </form>
    </Panel>
  );
}

interface Ledger {
  readonly state?: string;
  readonly received?: number;
  readonly delivered?: number;
  readonly pending?: number;
  readonly lost?: number;
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
  const { busy, error, run } = useAction();
  return (
    <Panel title="Log drains">
      <Failure message={error ?? drains.error} />
      <ul class="rows">
        {drains.value?.map(({ drain, ledger }) => (
          <li key={drain.id}>
            <code>{drain.url}</code>
            <span class="muted">
              {ledger.state ?? "unknown"}: {ledger.delivered ?? 0} delivered, {ledger.pending ?? 0}{" "}
              pending, {ledger.lost ?? 0} lost
            </span>
            <button
              type="button"
              class="quiet danger"
              disabled={busy}
              aria-label={`Remove drain ${drain.url}`}
              onClick={() =>
                run(async () => {
                  await call(`${path}/${drain.id}`, { method: "DELETE" });
                  drains.reload();
                })
              }
            >
              Remove
            </button>
          </li>
        ))}
      </ul>
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
        <label>
          Drain URL
          <input
            class="wide"
            required
            placeholder="https://… or syslog+tls://host:6514"
            value={url}
            onInput={(event) => setUrl(event.currentTarget.value)}
          />
        </label>
        <button type="submit" disabled={busy}>
          Add drain
        </button>
      </form>
    </Panel>
  );
}

type Row = Readonly<Record<string, unknown>>;

function Listing(props: { app: string; title: string; path: string; text: (row: Row) => string }) {
  const rows = useLoaded(() => list<Row>(`/apps/${props.app}/${props.path}`), [props.app]);
  return (
    <Panel title={props.title}>
      <Failure message={rows.error} />
      {rows.value?.length === 0 && <p class="muted">None.</p>}
      <ul class="rows">
        {rows.value?.map((row) => (
          <li key={String(row["id"])}>{props.text(row)}</li>
        ))}
      </ul>
    </Panel>
  );
}

function Destroy({ app }: TabProps) {
  const [typed, setTyped] = useState("");
  const { busy, error, run } = useAction();
  return (
    <Panel title="Delete the app">
      <Failure message={error} />
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault();
          run(async () => {
            await call(`/apps/${app.id}`, { method: "DELETE" });
            location.hash = "#/";
          });
        }}
      >
        <label>
          Type {app.name} to confirm
          <input value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
        </label>
        <button type="submit" class="danger" disabled={busy || typed !== app.name}>
          Delete for ever
        </button>
      </form>
    </Panel>
  );
}
