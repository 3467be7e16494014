import { useState } from "preact/hooks";
import { type AppResource, call, type Dyno, list } from "../api.ts";
import { useAction, useLoaded } from "../ui/hooks.ts";
import { Ago, Failure, State } from "../ui/parts.tsx";

interface Row {
  readonly app: AppResource;
  readonly dynos: readonly Dyno[];
}

async function loadRows(): Promise<Row[]> {
  const apps = await list<AppResource>("/apps");
  return Promise.all(
    apps.map(async (app) => ({ app, dynos: await list<Dyno>(`/apps/${app.id}/dynos`) })),
  );
}

/** One word for a whole app, worst first. */
function health({ app, dynos }: Row): string {
  if (app.maintenance) return "maintenance";
  if (dynos.some(({ state }) => state === "crashed")) return "crashed";
  if (dynos.some(({ state }) => state === "starting")) return "starting";
  return dynos.length === 0 ? "no dynos" : "up";
}

export function AppsView() {
  const { value: rows, error, reload } = useLoaded(loadRows, [], 5000);
  const [name, setName] = useState("");
  const create = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    create.run(async () => {
      await call("/apps", {
        method: "POST",
        body: name.trim() === "" ? {} : { name: name.trim() },
      });
      setName("");
      reload();
    });
  };
  return (
    <>
      <div class="heading">
        <h1>Apps</h1>
        <form class="inline" onSubmit={submit}>
          <label class="visually-hidden" for="new-app">
            Name of the new app
          </label>
          <input
            id="new-app"
            placeholder="name (optional)"
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <button type="submit" disabled={create.busy}>
            Create app
          </button>
        </form>
      </div>
      <Failure message={error ?? create.error} />
      {rows?.length === 0 && <p>No apps yet. Create one, or push one with git.</p>}
      <ul class="cards">
        {rows?.map((row) => (
          <li key={row.app.id}>
            <a href={`#/apps/${row.app.name}`} class="card">
              <strong>{row.app.name}</strong>
              <State value={health(row)} />
              <span class="muted">
                {row.dynos.filter(({ state }) => state === "up").length} of {row.dynos.length} dynos
                up
              </span>
              <span class="muted">
                {row.app.released_at ? (
                  <>
                    released <Ago time={row.app.released_at} />
                  </>
                ) : (
                  "nothing deployed"
                )}
              </span>
            </a>
          </li>
        ))}
      </ul>
    </>
  );
}
