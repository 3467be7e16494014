import type { ComponentChildren } from "preact";

export function Failure({ message }: { message: string | undefined }) {
  return message === undefined ? null : (
    <p class="failure" role="alert">
      {message}
    </p>
  );
}

export function Panel(props: {
  title: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="panel" aria-label={props.title}>
      <header>
        <h2>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  );
}

/** A state as a word and a shape, so that colour is never the only sign. */
export function State({ value }: { value: string }) {
  const kind =
    value === "up" || value === "succeeded"
      ? "good"
      : value === "crashed" || value === "failed"
        ? "bad"
        : value === "starting" || value === "pending"
          ? "busy"
          : "idle";
  return <span class={`state ${kind}`}>{value}</span>;
}

export function Ago({ time }: { time: string }) {
  return (
    <time dateTime={time} title={time}>
      {ago(Date.now() - Date.parse(time))}
    </time>
  );
}

export function ago(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}
