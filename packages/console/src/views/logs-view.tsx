import { useEffect, useRef, useState } from "preact/hooks";
import { call, sameOrigin } from "../api.ts";
import { mayPass } from "../ui/hooks.ts";
import { Failure, Panel } from "../ui/parts.tsx";
import type { TabProps } from "./app-view.tsx";

/** More rows than this are forgotten, oldest first: the page stays quick at any rate of lines. */
const MAX_ROWS = 2000;

interface Line {
  readonly id: number;
  readonly time: string;
  readonly source: string;
  readonly text: string;
}

const form = /^(\S+) ([^\s[]+(?:\[[^\]]*\])?): ?(.*)$/;

export function parseLine(id: number, line: string): Line {
  const match = form.exec(line);
  if (!match) return { id, time: "", source: "", text: line };
  return { id, time: match[1] as string, source: match[2] as string, text: match[3] as string };
}

/** One of six hues for a source, always the same one. */
function hue(source: string): number {
  let hash = 0;
  for (const character of source) hash = (hash * 31 + character.charCodeAt(0)) % 6;
  return hash;
}

export function LogsView({ app }: TabProps) {
  const [query, setQuery] = useState("");
  const [active, setActive] = useState("");
  const [paused, setPaused] = useState(false);
  const [lines, setLines] = useState<readonly Line[]>([]);
  const [error, setError] = useState<string>();
  const [held, setHeld] = useState(0);
  const [live, setLive] = useState(false);
  const log = useRef<HTMLElement>(null);
  const atEnd = useRef(true);
  const pausedNow = useRef(false);
  const waiting = useRef<Line[]>([]);
  pausedNow.current = paused;

  useEffect(() => {
    let events: EventSource | undefined;
    let stopped = false;
    let retry: ReturnType<typeof setTimeout> | undefined;
    let frame = 0;
    let count = 0;
    setLines([]);
    setError(undefined);
    waiting.current = [];
    // However many lines come, the page is drawn once per frame.
    const flush = () => {
      frame = 0;
      if (pausedNow.current) {
        setHeld(waiting.current.length);
        return;
      }
      const added = waiting.current;
      waiting.current = [];
      setLines((old) => [...old, ...added].slice(-MAX_ROWS));
    };
    const open = () => {
      call<{ logplex_url: string }>(`/apps/${app.id}/log-sessions`, {
        method: "POST",
        body: { lines: 500, tail: true, ...(active === "" ? {} : { query: active }) },
      }).then(
        ({ logplex_url: url }) => {
          if (stopped) return;
          setError(undefined);
          events = new EventSource(sameOrigin(url));
          let fresh = true;
          events.onmessage = ({ data }) => {
            // A new session begins with the newest lines again.
            if (fresh) setLines([]);
            fresh = false;
            for (const text of (data as string).split("\n")) {
              count += 1;
              waiting.current.push(parseLine(count, text));
            }
            if (waiting.current.length > MAX_ROWS)
              waiting.current = waiting.current.slice(-MAX_ROWS);
            if (frame === 0) frame = requestAnimationFrame(flush);
          };
          events.onopen = () => setLive(true);
          events.onerror = () => {
            setLive(false);
            // The browser tries again by itself until the session is gone, as after a restart.
            if (events?.readyState === EventSource.CLOSED) again();
          };
        },
        (fault: Error) => {
          setError(fault.message);
          if (mayPass(fault)) again();
        },
      );
    };
    const again = () => {
      if (!stopped) retry = setTimeout(open, 2000);
    };
    open();
    return () => {
      stopped = true;
      clearTimeout(retry);
      events?.close();
      cancelAnimationFrame(frame);
    };
  }, [app.id, active]);

  useEffect(() => {
    if (!paused) {
      atEnd.current = true;
      const added = waiting.current;
      waiting.current = [];
      setHeld(0);
      if (added.length > 0) setLines((old) => [...old, ...added].slice(-MAX_ROWS));
    }
  }, [paused]);

  useEffect(() => {
    // Who scrolled up to read is left there; at the end the view goes on with the lines.
    const element = log.current;
    if (!paused && element && atEnd.current) element.scrollTop = element.scrollHeight;
  }, [lines, paused]);

  const jump = (value: string) => {
    const at = new Date(value).getTime();
    const line = lines.find(({ time }) => Date.parse(time) >= at);
    if (!line) return;
    setPaused(true);
    document.getElementById(`line-${line.id}`)?.scrollIntoView({ block: "start" });
  };

  return (
    <Panel
      title="Logs"
      aside={
        <form
          class="inline"
          onSubmit={(event) => {
            event.preventDefault();
            setActive(query.trim());
          }}
        >
          <label class="visually-hidden" for="log-query">
            Query
          </label>
          <input
            id="log-query"
            class="wide"
            placeholder="dyno:web .status>=500 -favicon"
            spellcheck={false}
            value={query}
            onInput={(event) => setQuery(event.currentTarget.value)}
          />
          <button type="submit">Filter</button>
          <label class="visually-hidden" for="log-time">
            Jump to time
          </label>
          <input
            id="log-time"
            type="datetime-local"
            step="1"
            onChange={(event) => jump(event.currentTarget.value)}
          />
          <button
            type="button"
            class="quiet"
            aria-pressed={paused}
            onClick={() => setPaused(!paused)}
          >
            {paused ? `Resume${held > 0 ? ` (${held})` : ""}` : "Pause"}
          </button>
        </form>
      }
    >
      <Failure message={error} />
      <p class="muted log-state" role="status">
        {paused ? "Paused" : live ? "Live" : "Connecting…"}
        {lines.length > 0 && `, ${lines.length} lines`}
      </p>
      <section
        class="log"
        aria-label="Log lines"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
        tabIndex={0}
        ref={log}
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
          atEnd.current = scrollHeight - scrollTop - clientHeight < 60;
        }}
      >
        {lines.map((line) => (
          <div key={line.id} id={`line-${line.id}`} class="line">
            <time>{line.time.slice(11, 23)}</time>
            <b class={`hue-${hue(line.source)}`}>{line.source}</b>
            <span>{line.text}</span>
          </div>
        ))}
      </section>
    </Panel>
  );
}
