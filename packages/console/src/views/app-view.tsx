import type { FunctionComponent } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type AppResource, call } from "../api.ts";
import { useLoaded } from "../ui/hooks.ts";
import { Failure } from "../ui/parts.tsx";
import { AccessView } from "./access-view.tsx";
import { ActivityView } from "./activity-view.tsx";
import { ConfigView } from "./config-view.tsx";
import { DeployView } from "./deploy-view.tsx";
import { DynosView } from "./dynos-view.tsx";
import { HooksView } from "./hooks-view.tsx";
import { LogsView } from "./logs-view.tsx";
import { RoutingView } from "./routing-view.tsx";
import { SettingsView } from "./settings-view.tsx";
import { TrafficView } from "./traffic-view.tsx";

export interface TabProps {
  readonly app: AppResource;
  readonly reload: () => void;
}

export const tabs: readonly { id: string; title: string; view: FunctionComponent<TabProps> }[] = [
  { id: "overview", title: "Dynos", view: DynosView },
  { id: "logs", title: "Logs", view: LogsView },
  { id: "traffic", title: "Traffic", view: TrafficView },
  { id: "deploy", title: "Deploy", view: DeployView },
  { id: "config", title: "Config", view: ConfigView },
  { id: "routing", title: "Domains", view: RoutingView },
  { id: "hooks", title: "Drains & webhooks", view: HooksView },
  { id: "access", title: "Access", view: AccessView },
  { id: "activity", title: "Activity", view: ActivityView },
  { id: "settings", title: "Settings", view: SettingsView },
];

export function AppView({ name, tab }: { name: string; tab: string }) {
  const {
    value: app,
    error,
    reload,
  } = useLoaded(() => call<AppResource>(`/apps/${name}`), [name], 10_000);
  const strip = useRef<HTMLElement>(null);
  // On a narrow screen the strip scrolls: the open view's name must be seen.
  useEffect(() => {
    const current = strip.current?.querySelector("[aria-current]");
    current?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [tab]);
  const View = tabs.find(({ id }) => id === tab)?.view ?? DynosView;
  return (
    <>
      <div class="heading">
        <h1>
          <a href="#/">Apps</a> / {name}
        </h1>
        {app?.web_url && (
          <a class="button" href={app.web_url} rel="noreferrer" target="_blank">
            Open app
          </a>
        )}
      </div>
      <nav class="tabs" aria-label="Parts of the app" ref={strip}>
        {tabs.map(({ id, title }) => (
          <a key={id} href={`#/apps/${name}/${id}`} aria-current={id === tab ? "page" : undefined}>
            {title}
          </a>
        ))}
      </nav>
      <Failure message={error} />
      {app?.maintenance && (
        <p class="notice">Maintenance mode is on: visitors see the maintenance page.</p>
      )}
      {app && <View app={app} reload={reload} />}
    </>
  );
}
