const bars = "▁▂▃▄▅▆▇█";

/** Values as a row of bars of at most `width` characters; each is the greatest of its slice. */
export function sparkline(values: readonly (number | null)[], width = 40): string {
  if (values.length === 0) return "";
  const slices = Math.min(width, values.length);
  const points = Array.from({ length: slices }, (_, index) => {
    const slice = values.slice(
      Math.floor((index * values.length) / slices),
      Math.floor(((index + 1) * values.length) / slices),
    );
    return Math.max(0, ...slice.map((value) => value ?? 0));
  });
  const top = Math.max(...points);
  const step = (value: number) => (top === 0 ? 0 : Math.round((value / top) * (bars.length - 1)));
  return points.map((value) => bars[step(value)]).join("");
}
