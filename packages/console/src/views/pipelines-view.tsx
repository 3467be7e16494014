import { useState } from "preact/hooks";
import {
  type AppResource,
  type Coupling,
  call,
  list,
  type Pipeline,
  type Release,
} from "../api.ts";
import { useAction, useLoaded } from "../ui/hooks.ts";
import { Failure, Field, Panel, RemoveButton } from "../ui/parts.tsx";

const stages = ["development", "staging", "production"] as const;

interface Member {
  readonly coupling: Coupling;
  readonly app: AppResource;
  readonly release: Release | undefined;
}

/** Apps side by side by stage, with the way from one stage to the next. */
export function PipelinesView() {
  const pipelines = useLoaded(() => list<Pipeline>("/pipelines"), []);
  const apps = useLoaded(() => list<AppResource>("/apps"), []);
  const [name, setName] = useState("");
  const { busy, error, run } = useAction();
  return (
    <>
      <div class="heading">
        <h1>Pipelines</h1>
        <form
          class="inline"
          onSubmit={(event) => {
            event.preventDefault();
            run(async () => {
              const { id } = await call<{ id: string }>("/account");
              const body = { name: name.trim(), owner: { id, type: "user" } };
              await call("/pipelines", { method: "POST", body });
              setName("");
              pipelines.reload();
            });
          }}
        >
          <Field label="Name of a new pipeline" value={name} onValue={setName} />
          <button type="submit" disabled={busy}>
            Create pipeline
          </button>
        </form>
      </div>
      <Failure message={error ?? pipelines.error} />
      {pipelines.value?.length === 0 && (
        <p class="muted">No pipelines yet. One leads an app's code from stage to stage.</p>
      )}
      {pipelines.value?.map((pipeline) => (
        <Stages
          key={pipeline.id}
          pipeline={pipeline}
          apps={apps.value ?? []}
          onRemoved={pipelines.reload}
        />
      ))}
    </>
  );
}

function Stages(props: {
  pipeline: Pipeline;
  apps: readonly AppResource[];
  onRemoved: () => void;
}) {
  const { pipeline, apps } = props;
  const load = async (): Promise<Member[]> => {
    const [couplings, releases] = await Promise.all([
      list<Coupling>(`/pipelines/${pipeline.id}/pipeline-couplings`),
      list<Release & { app: { id: string } }>(`/pipelines/${pipeline.id}/latest-releases`),
    ]);
    return Promise.all(
      couplings.map(async (coupling) => ({
        coupling,
        app: await call<AppResource>(`/apps/${coupling.app.id}`),
        release: releases.find((release) => release.app.id === coupling.app.id),
      })),
    );
  };
  const members = useLoaded(load, [pipeline.id], 5000);
  const [app, setApp] = useState("");
  const [stage, setStage] = useState<string>("staging");
  const [said, setSaid] = useState<string>();
  const { busy, error, run, request } = useAction();
  const of = (one: string) => members.value?.filter(({ coupling }) => coupling.stage === one) ?? [];
  const promote = (member: Member, targets: readonly Member[]) =>
    run(async () => {
      await call("/pipeline-promotions", {
        method: "POST",
        body: {
          pipeline: { id: pipeline.id },
          source: { app: { id: member.app.id } },
          targets: targets.map((target) => ({ app: { id: target.app.id } })),
        },
      });
      setSaid(`Promoting ${member.app.name} to ${targets.map((one) => one.app.name).join(", ")}`);
      members.reload();
    });
  const free = apps.filter(({ id }) => !members.value?.some((member) => member.app.id === id));
  return (
    <Panel
      title={pipeline.name}
      aside={
        <RemoveButton
          name={`pipeline ${pipeline.name}`}
          disabled={busy}
          onRemove={() =>
            request(`/pipelines/${pipeline.id}`, { method: "DELETE" }, props.onRemoved)
          }
        />
      }
    >
      <Failure message={error ?? members.error} />
      {said !== undefined && <p role="status">{said}</p>}
      <div class="stages">
        {stages.map((one, index) => {
          const next = stages
            .slice(index + 1)
            .map(of)
            .find((list) => list.length > 0);
          return (
            <section key={one} aria-label={`${pipeline.name}: ${one}`}>
              <h3>{one}</h3>
              {of(one).length === 0 && <p class="muted">no app</p>}
              {of(one).map((member) => (
                <div class="member" key={member.coupling.id}>
                  <a href={`#/apps/${member.app.name}`}>{member.app.name}</a>
                  <span class="muted">
                    {member.release ? `v${member.release.version}` : "nothing deployed"}
                  </span>
                  <span class="buttons">
                    {next && (
                      <button
                        type="button"
                        disabled={busy || !member.release?.slug}
                        aria-label={`Promote ${member.app.name}`}
                        onClick={() => promote(member, next)}
                      >
                        Promote
                      </button>
                    )}
                    <RemoveButton
                      name={`${member.app.name} from ${pipeline.name}`}
                      disabled={busy}
                      onRemove={() =>
                        request(
                          `/pipeline-couplings/${member.coupling.id}`,
                          { method: "DELETE" },
                          members.reload,
                        )
                      }
                    />
                  </span>
                </div>
              ))}
            </section>
          );
        })}
      </div>
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault();
          run(async () => {
            const body = { app, pipeline: pipeline.id, stage };
            await call("/pipeline-couplings", { method: "POST", body });
            setApp("");
            members.reload();
          });
        }}
      >
        <label>
          App
          <select required value={app} onChange={(event) => setApp(event.currentTarget.value)}>
            <option value="">choose…</option>
            {free.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          Stage
          <select value={stage} onChange={(event) => setStage(event.currentTarget.value)}>
            {stages.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
        <button type="submit" class="quiet" disabled={busy || app === ""}>
          Add to {pipeline.name}
        </button>
      </form>
    </Panel>
  );
}
