import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { call } from "../api.ts";
import { useLoaded } from "../ui/hooks.ts";
import { Failure, Panel } from "../ui/parts.tsx";
import type { TabProps } from "./app-view.tsx";

export interface Series {
  /** Seconds since the epoch, one per step. */
  readonly time: readonly number[];
  readonly requests: readonly number[];
  readonly p50_ms: readonly (number | null)[];
  readonly p95_ms: readonly (number | null)[];
  readonly p99_ms: readonly (number | null)[];
  readonly status: Readonly<Record<string, readonly number[]>>;
  readonly codes: Readonly<Record<string, number>>;
}

/** Spans that the API keeps, and what people call them. */
const spans = [
  ["30m", "30 minutes"],
  ["24h", "24 hours"],
] as const;

export function TrafficView({ app }: TabProps) {
  const [span, setSpan] = useState<string>("30m");
  const { value: metrics, error } = useLoaded(
    () => call<{ router?: Series; step_seconds?: number }>(`/apps/${app.id}/metrics?span=${span}`),
    [app.id, span],
    5000,
  );
  const value = metrics?.router;
  const classes = Object.keys(value?.status ?? {}).sort((a, b) => a.localeCompare(b));
  return (
    <>
      <Failure message={error} />
      <Panel
        title={`Requests per ${metrics?.step_seconds ?? 10} s`}
        aside={
          <label>
            Last{" "}
            <select value={span} onChange={(event) => setSpan(event.currentTarget.value)}>
              {spans.map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        }
      >
        <Plot time={value?.time} lines={[["requests", value?.requests]]} />
      </Panel>
      <Panel title="Response time (ms)">
        <Plot
          time={value?.time}
          lines={[
            ["p50", value?.p50_ms],
            ["p95", value?.p95_ms],
            ["p99", value?.p99_ms],
          ]}
        />
      </Panel>
      <Panel title="Status classes">
        <Plot time={value?.time} lines={classes.map((name) => [name, value?.status[name]])} />
      </Panel>
      <Panel title="Router errors">
        {Object.keys(value?.codes ?? {}).length === 0 ? (
          <p>None in this window.</p>
        ) : (
          <table>
            <tbody>
              {Object.entries(value?.codes ?? {}).map(([code, count]) => (
                <tr key={code}>
                  <th scope="row">{code}</th>
                  <td>{count}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Panel>
    </>
  );
}

type Values = readonly (number | null)[] | undefined;

const colours = ["#7c5cff", "#0e9f6e", "#d97706", "#dc2626", "#2563eb"];

function Plot({
  time,
  lines,
}: {
  time: readonly number[] | undefined;
  lines: readonly (readonly [string, Values])[];
}) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const names = lines.map(([name]) => name).join();
  useEffect(() => {
    const parent = element.current;
    if (!parent) return undefined;
    const muted = getComputedStyle(parent).getPropertyValue("--muted") || "#777";
    const axis = { stroke: muted, grid: { stroke: `${muted}33` } };
    plot.current = new uPlot(
      {
        width: parent.clientWidth,
        height: 180,
        axes: [axis, axis],
        series: [
          {},
          ...names.split(",").map((label, index) => ({
            label,
            stroke: colours[index % colours.length] as string,
            width: 2,
          })),
        ],
      },
      [[], ...names.split(",").map(() => [])],
      parent,
    );
    const observer = new ResizeObserver(() =>
      plot.current?.setSize({ width: parent.clientWidth, height: 180 }),
    );
    observer.observe(parent);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
    };
  }, [names]);
  useEffect(() => {
    if (time)
      plot.current?.setData([
        [...time],
        ...lines.map(([, values]) => [...(values ?? [])]),
      ] as uPlot.AlignedData);
  }, [time, lines]);
  return <div class="plot" ref={element} />;
}
