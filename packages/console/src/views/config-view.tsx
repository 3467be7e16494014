import { useState } from "preact/hooks";
import { call } from "../api.ts";
import { useAction, useLoaded } from "../ui/hooks.ts";
import { Failure, Panel } from "../ui/parts.tsx";
import type { TabProps } from "./app-view.tsx";

export function ConfigView({ app }: TabProps) {
  const path = `/apps/${app.id}/config-vars`;
  const config = useLoaded(() => call<Record<string, string>>(path), [app.id]);
  const [shown, setShown] = useState<ReadonlySet<string>>(new Set());
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const { busy, error, run } = useAction();
  const patch = (change: Record<string, string | null>) =>
    run(async () => {
      await call(path, { method: "PATCH", body: change });
      config.reload();
      setKey("");
      setValue("");
    });
  const toggle = (name: string) => {
    const next = new Set(shown);
    if (!next.delete(name)) next.add(name);
    setShown(next);
  };
  return (
    <Panel title="Config vars">
      <p class="muted">Every change makes a release and restarts the dynos.</p>
      <Failure message={error ?? config.error} />
      {config.value === undefined ? (
        <p class="muted">Loading…</p>
      ) : (
        Object.keys(config.value).length === 0 && <p class="muted">No config vars.</p>
      )}
      <div class="scroll">
        <table>
          <tbody>
            {Object.entries(config.value ?? {})
              .sort(([a], [b]) => a.localeCompare(b))
              .map(([name, secret]) => (
                <tr key={name}>
                  <th scope="row">
                    <code>{name}</code>
                  </th>
                  <td class="value">
                    <code>{shown.has(name) ? secret : "••••••••"}</code>
                  </td>
                  <td class="buttons">
                    <button
                      type="button"
                      class="quiet"
                      aria-label={`${shown.has(name) ? "Hide" : "Show"} ${name}`}
                      onClick={() => toggle(name)}
                    >
                      {shown.has(name) ? "Hide" : "Show"}
                    </button>
                    <button
                      type="button"
                      class="quiet"
                      aria-label={`Edit ${name}`}
                      onClick={() => {
                        setKey(name);
                        setValue(secret);
                      }}
                    >
                      Edit
                    </button>
                    <button
                      type="button"
                      class="quiet danger"
                      aria-label={`Remove ${name}`}
                      disabled={busy}
                      onClick={() => patch({ [name]: null })}
                    >
                      Remove
                    </button>
                  </td>
                </tr>
              ))}
          </tbody>
        </table>
      </div>
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault();
          patch({ [key.trim()]: value });
        }}
      >
        <label>
          Key
          <input
            required
            pattern="\w+"
            value={key}
            onInput={(event) => setKey(event.currentTarget.value)}
          />
        </label>
        <label>
          Value
          <input
            class="wide"
            value={value}
            onInput={(event) => setValue(event.currentTarget.value)}
          />
        </label>
        <button type="submit" disabled={busy}>
          Save
        </button>
      </form>
    </Panel>
  );
}
