import { useState } from "preact/hooks";
import { call, type Feature, list } from "../api.ts";
import { useAction, useLoaded } from "../ui/hooks.ts";
import { Failure, Field, Panel, RemoveButton, Rows } from "../ui/parts.tsx";
import type { TabProps } from "./app-view.tsx";

export function SettingsView(props: TabProps) {
  return (
    <>
      <Maintenance {...props} />
      <Rename key={props.app.name} {...props} />
      <Buildpacks {...props} />
      <Features {...props} />
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

function Rename({ app }: TabProps) {
  const [name, setName] = useState(app.name);
  const { busy, error, run } = useAction();
  return (
    <Panel title="Name">
      <Failure message={error} />
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault();
          run(async () => {
            await call(`/apps/${app.id}`, { method: "PATCH", body: { name: name.trim() } });
            location.hash = `#/apps/${encodeURIComponent(name.trim())}/settings`;
          });
        }}
      >
        <Field label="Name of the app" value={name} onValue={setName} />
        <button type="submit" class="quiet" disabled={busy || name.trim() === app.name}>
          Rename
        </button>
      </form>
      <p class="muted">
        Owner {app.owner.email}, stack {app.stack.name}. Deploy with git: <code>{app.git_url}</code>
      </p>
    </Panel>
  );
}

function Features({ app }: TabProps) {
  const path = `/apps/${app.id}/features`;
  const features = useLoaded(() => list<Feature>(path), [app.id]);
  const { busy, error, run } = useAction();
  return (
    <Panel title="Features">
      <Failure message={error ?? features.error} />
      <Rows items={features.value} empty="No features." keyOf={({ id }) => id}>
        {(feature) => (
          <label class="choice">
            <input
              type="checkbox"
              checked={feature.enabled}
              disabled={busy}
              onChange={() =>
                run(async () => {
                  const body = { enabled: !feature.enabled };
                  await call(`${path}/${feature.name}`, { method: "PATCH", body }).finally(
                    features.reload,
                  );
                })
              }
            />
            <span class="what">
              <strong>{feature.display_name}</strong>
              <span class="muted">{feature.description}</span>
            </span>
          </label>
        )}
      </Rows>
    </Panel>
  );
}

function Buildpacks({ app }: TabProps) {
  const path = `/apps/${app.id}/buildpack-installations`;
  const installed = useLoaded(
    () => list<{ ordinal: number; buildpack: { url: string; name: string } }>(path),
    [app.id],
  );
  const [added, setAdded] = useState("");
  const { busy, error, run } = useAction();
  const put = (urls: readonly string[]) =>
    run(async () => {
      const updates = urls.map((buildpack) => ({ buildpack }));
      await call(path, { method: "PUT", body: { updates } });
      setAdded("");
      installed.reload();
    });
  const urls = installed.value?.map(({ buildpack }) => buildpack.url) ?? [];
  return (
    <Panel title="Buildpacks">
      <Failure message={error ?? installed.error} />
      <Rows
        items={installed.value}
        empty="The platform detects the buildpack."
        keyOf={({ ordinal }) => ordinal}
      >
        {({ buildpack }) => (
          <>
            <code class="what">{buildpack.name}</code>
            <RemoveButton
              name={`buildpack ${buildpack.name}`}
              disabled={busy}
              onRemove={() => put(urls.filter((url) => url !== buildpack.url))}
            />
          </>
        )}
      </Rows>
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault();
          put([...urls, added.trim()]);
        }}
      >
        <Field
          label="Buildpack"
          wide
          placeholder="heroku/nodejs or a URL"
          value={added}
          onValue={setAdded}
        />
        <button type="submit" class="quiet" disabled={busy}>
          Add buildpack
        </button>
      </form>
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
