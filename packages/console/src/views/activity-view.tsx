import { useEffect, useState } from "preact/hooks";
import { follow } from "../api.ts";
import { Ago, Failure, Panel } from "../ui/parts.tsx";
import type { TabProps } from "./app-view.tsx";

interface AuditEvent {
  readonly id: string;
  readonly sequence: string;
  readonly action: string;
  readonly resource: string;
  readonly created_at: string;
  readonly actor: { readonly email: string | null };
  readonly data: Readonly<Record<string, unknown>>;
}

/** So many events are kept on the page, the newest. */
const kept = 300;

/** Everything that was done to the app and by whom, as it happens. */
export function ActivityView({ app }: TabProps) {
  const [events, setEvents] = useState<readonly AuditEvent[]>();
  const [dynos, setDynos] = useState(false);
  const [live, setLive] = useState(false);
  const [error, setError] = useState<string>();

  useEffect(() => {
    setEvents(undefined);
    const abort = new AbortController();
    let waiting: AuditEvent[] = [];
    let frame = 0;
    const flush = () => {
      frame = 0;
      const added = waiting.reverse();
      waiting = [];
      setEvents((old) => [...added, ...(old ?? [])].slice(0, kept));
    };
    // The trail from its beginning: what came before the page was opened comes at once.
    follow(
      `/events?app=${encodeURIComponent(app.id)}`,
      "0",
      {
        onData: (data) => {
          waiting.push(JSON.parse(data) as AuditEvent);
          if (frame === 0) frame = requestAnimationFrame(flush);
        },
        onState: (connected) => {
          setLive(connected);
          if (connected) setEvents((old) => old ?? []);
        },
      },
      abort.signal,
    ).catch((fault: Error) => setError(fault.message));
    return () => {
      abort.abort();
      cancelAnimationFrame(frame);
    };
  }, [app.id]);

  const shown = events?.filter(({ resource }) => dynos || resource !== "dyno");
  return (
    <Panel
      title="Activity"
      aside={
        <span class="actions">
          <span class="muted">{live ? "live" : "connecting…"}</span>
          <label class="choice">
            <input type="checkbox" checked={dynos} onChange={() => setDynos(!dynos)} />
            dynos too
          </label>
        </span>
      }
    >
      <Failure message={error} />
      {shown?.length === 0 && <p class="muted">Nothing was done yet.</p>}
      <ol class="rows">
        {shown?.map((event) => (
          <li key={event.id}>
            <details class="what">
              <summary>
                <strong>
                  {event.resource} {event.action}
                </strong>{" "}
                {subject(event.data)}{" "}
                <span class="muted">
                  by {event.actor.email ?? "the platform"}, <Ago time={event.created_at} />
                </span>
              </summary>
              <pre class="output">{JSON.stringify(event.data, null, 2)}</pre>
            </details>
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function subject(data: Readonly<Record<string, unknown>>): string {
  const version = data["version"] === undefined ? undefined : `v${String(data["version"])}`;
  const name = data["name"] ?? data["hostname"] ?? data["url"] ?? data["type"] ?? version;
  const state = data["state"] ?? data["status"];
  return [name, state].filter((part) => typeof part === "string").join(" ");
}
