import { useEffect, useState } from "preact/hooks";
import { call, type Dyno, type FormationEntry, list } from "../api.ts";
import { useAction, useLoaded } from "../ui/hooks.ts";
import { Ago, Failure, Panel, State } from "../ui/parts.tsx";
import { Sparkline } from "../ui/sparkline.tsx";
import type { TabProps } from "./app-view.tsx";

/** What a change of quantities would start and stop, as the API's dry run says it. */
interface Preview {
  readonly start: readonly string[];
  readonly stop: readonly string[];
}

interface Metrics {
  readonly dynos?: Readonly<
    Record<
      string,
      { readonly memory_mb?: readonly (number | null)[]; readonly cpu?: readonly (number | null)[] }
    >
  >;
}

export function DynosView({ app }: TabProps) {
  const path = `/apps/${app.id}`;
  const dynos = useLoaded(() => list<Dyno>(`${path}/dynos`), [app.id], 2000);
  const metrics = useLoaded(
    () => call<Metrics>(`${path}/metrics`).catch((): Metrics => ({})),
    [app.id],
    5000,
  );
  const { busy, error, run } = useAction();
  const restart = (name?: string) =>
    run(async () => {
      await call(`${path}/dynos${name === undefined ? "" : `/${name}`}`, { method: "DELETE" });
      dynos.reload();
    });
  return (
    <>
      <Formation app={app} onScaled={dynos.reload} />
      <Panel
        title="Dynos"
        aside={
          <button type="button" class="quiet" disabled={busy} onClick={() => restart()}>
            Restart all
          </button>
        }
      >
        <Failure message={error ?? dynos.error} />
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">Dyno</th>
                <th scope="col">State</th>
                <th scope="col">Since</th>
                <th scope="col">Release</th>
                <th scope="col">Memory</th>
                <th scope="col">CPU</th>
                <th scope="col">Crashes</th>
                <th scope="col">
                  <span class="visually-hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {dynos.value?.map((dyno) => (
                <tr key={dyno.id}>
                  <th scope="row" title={dyno.command}>
                    {dyno.name}
                  </th>
                  <td>
                    <State value={dyno.state} />
                  </td>
                  <td>
                    <Ago time={dyno.updated_at} />
                  </td>
                  <td>v{dyno.release.version}</td>
                  <td>
                    <Sparkline values={metrics.value?.dynos?.[dyno.name]?.memory_mb} unit="MB" />
                  </td>
                  <td>
                    <Sparkline values={metrics.value?.dynos?.[dyno.name]?.cpu} unit="%" />
                  </td>
                  <td>
                    {dyno.crashes ?? 0}
                    {dyno.next_attempt_at && (
                      <span class="muted">
                        {" "}
                        next start {new Date(dyno.next_attempt_at).toLocaleTimeString()}
                      </span>
                    )}
                  </td>
                  <td>
                    <button
                      type="button"
                      class="quiet"
                      disabled={busy}
                      aria-label={`Restart ${dyno.name}`}
                      onClick={() => restart(dyno.name)}
                    >
                      Restart
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        {dynos.value?.length === 0 && <p>No dynos run.</p>}
      </Panel>
    </>
  );
}

function Formation({ app, onScaled }: { app: TabProps["app"]; onScaled: () => void }) {
  const path = `/apps/${app.id}/formation`;
  const formation = useLoaded(() => list<FormationEntry>(path), [app.id], 5000);
  const [wanted, setWanted] = useState<Readonly<Record<string, number>>>({});
  const [preview, setPreview] = useState<Preview>();
  const { busy, error, run } = useAction();
  const updates = Object.entries(wanted)
    .filter(
      ([type, quantity]) =>
        formation.value?.find((entry) => entry.type === type)?.quantity !== quantity,
    )
    .map(([type, quantity]) => ({ type, quantity }));
  const key = JSON.stringify(updates);

  // What would happen, asked of the API itself.
  useEffect(() => {
    setPreview(undefined);
    if (updates.length === 0) return undefined;
    const abort = new AbortController();
    call<Preview>(`${path}?dry_run=true`, {
      method: "PATCH",
      body: { updates },
      signal: abort.signal,
    }).then(setPreview, () => undefined);
    return () => abort.abort();
    // `key` stands for the updates' content.
  }, [key, path]);

  const scale = () =>
    run(async () => {
      await call(path, { method: "PATCH", body: { updates } });
      setWanted({});
      formation.reload();
      onScaled();
    });
  return (
    <Panel title="Formation">
      <Failure message={error ?? formation.error} />
      {formation.value?.map((entry) => {
        const value = wanted[entry.type] ?? entry.quantity;
        return (
          <div class="slider" key={entry.type}>
            <label for={`scale-${entry.type}`}>
              <strong>{entry.type}</strong> <code>{entry.command}</code>
            </label>
            <input
              id={`scale-${entry.type}`}
              type="range"
              min={0}
              max={Math.max(10, entry.quantity)}
              value={value}
              onInput={(event) =>
                setWanted({ ...wanted, [entry.type]: Number(event.currentTarget.value) })
              }
            />
            <output for={`scale-${entry.type}`}>{value}</output>
            <span class="muted">{entry.size}</span>
          </div>
        );
      })}
      {formation.value?.length === 0 && <p>Deploy code with a Procfile to get process types.</p>}
      {updates.length > 0 && (
        <div class="actions">
          {preview && (
            <span class="muted">
              starts {preview.start.join(", ") || "nothing"}; stops{" "}
              {preview.stop.join(", ") || "nothing"}
            </span>
          )}
          <button type="button" disabled={busy} onClick={scale}>
            Scale {updates.map(({ type, quantity }) => `${type}=${quantity}`).join(" ")}
          </button>
          <button type="button" class="quiet" onClick={() => setWanted({})}>
            Cancel
          </button>
        </div>
      )}
    </Panel>
  );
}
