import type { ComponentChildren, Key } from "preact";
import { useState } from "preact/hooks";

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
    value === "up" || value === "succeeded" || value === "current" || value === "healthy"
      ? "good"
      : value === "crashed" || value === "failed"
        ? "bad"
        : value === "starting" || value === "pending" || value === "retrying"
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

/** What cannot be undone takes two presses; leaving the button takes the first one back. */
export function RemoveButton(props: {
  name: string;
  disabled: boolean;
  onRemove: () => void;
  verb?: string;
}) {
  const [armed, setArmed] = useState(false);
  const verb = props.verb ?? "Remove";
  return (
    <button
      type="button"
      class={armed ? "danger armed" : "quiet danger"}
      disabled={props.disabled}
      aria-label={armed ? `${verb} ${props.name} for certain` : `${verb} ${props.name}`}
      onBlur={() => setArmed(false)}
      onClick={() => {
        if (armed) props.onRemove();
        setArmed(!armed);
      }}
    >
      {armed ? "Really?" : verb}
    </button>
  );
}

/** A list of resources: what each is, and buttons at the end of its row. */
export function Rows<T>(props: {
  items: readonly T[] | undefined;
  empty: string;
  keyOf: (item: T) => Key;
  children: (item: T) => ComponentChildren;
}) {
  if (props.items === undefined) return <p class="muted">Loading…</p>;
  if (props.items.length === 0) return <p class="muted">{props.empty}</p>;
  return (
    <ul class="rows">
      {props.items.map((item) => (
        <li key={props.keyOf(item)}>{props.children(item)}</li>
      ))}
    </ul>
  );
}

/** A labelled field of a form in one row. */
export function Field(props: {
  label: string;
  value: string;
  onValue: (value: string) => void;
  wide?: boolean;
  required?: boolean;
  placeholder?: string;
  email?: boolean;
}) {
  return (
    <label>
      {props.label}
      <input
        class={props.wide ? "wide" : ""}
        // An e-mail field only changes the keyboard of a phone: the platform checks what it gets.
        inputMode={props.email ? "email" : "text"}
        required={props.required ?? true}
        placeholder={props.placeholder ?? ""}
        spellcheck={false}
        value={props.value}
        onInput={(event) => props.onValue(event.currentTarget.value)}
      />
    </label>
  );
}
