/** A small line of recent values with the last one in words. */
export function Sparkline({
  values,
  unit,
}: {
  values: readonly (number | null)[] | undefined;
  unit: string;
}) {
  const last = values?.findLast((value) => value !== null) ?? undefined;
  if (!values || last === undefined) return <span class="muted">–</span>;
  const top = Math.max(...values.map((value) => value ?? 0), 1);
  const step = 60 / Math.max(values.length - 1, 1);
  // A gap is bridged: the line tells the course, the number beside it the present.
  const points = values.flatMap((value, index) =>
    value === null ? [] : [`${(index * step).toFixed(1)},${(18 - (16 * value) / top).toFixed(1)}`],
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
