/** A small line of recent values with the last one in words. */
export function Sparkline({
  values,
  unit,
}: {
  values: readonly number[] | undefined;
  unit: string;
}) {
  if (!values || values.length === 0) return <span class="muted">–</span>;
  const last = values.at(-1) as number;
  const top = Math.max(...values, 1);
  const step = 60 / Math.max(values.length - 1, 1);
  const points = values.map(
    (value, index) => `${(index * step).toFixed(1)},${(18 - (16 * value) / top).toFixed(1)}`,
  );
  return (
    <span class="sparkline">
      <svg viewBox="0 0 60 20" width="60" height="20" aria-hidden="true">
        <polyline points={points.join(" ")} fill="none" stroke="currentColor" stroke-width="1.5" />
      </svg>
      {Math.round(last)} {unit}
    </span>
  );
}
