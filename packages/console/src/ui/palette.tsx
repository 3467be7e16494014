import { useEffect, useRef, useState } from "preact/hooks";
import { type AppResource, list } from "../api.ts";

interface Command {
  readonly title: string;
  readonly hash: string;
}

const parts: readonly (readonly [id: string, title: string])[] = [
  ["overview", "dynos"],
  ["logs", "logs"],
  ["traffic", "traffic"],
  ["deploy", "deploy and releases"],
  ["config", "config vars"],
  ["routing", "domains and certificates"],
  ["hooks", "drains and webhooks"],
  ["access", "access"],
  ["activity", "activity"],
  ["settings", "settings"],
];

/** All that does not grow with the number of apps, and some of those; typing finds the others. */
const maxShown = 20;

/** Ctrl-K or ⌘K: go to any app, and to any part of the one that is open. */
export function Palette({ app }: { app: string | undefined }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const [apps, setApps] = useState<readonly string[]>([]);

  const open = () => {
    setText("");
    setChosen(0);
    dialog.current?.showModal();
    list<AppResource>("/apps").then(
      (found) => setApps(found.map(({ name }) => name)),
      () => setApps([]),
    );
  };
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        open();
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  });

  const commands: Command[] = [
    ...(app === undefined
      ? []
      : parts.map(([id, title]) => ({ title: `${app}: ${title}`, hash: `#/apps/${app}/${id}` }))),
    { title: "All apps", hash: "#/" },
    { title: "Pipelines", hash: "#/pipelines" },
    { title: "Account and tokens", hash: "#/account" },
    ...apps.map((name) => ({ title: name, hash: `#/apps/${name}` })),
  ].filter(({ title }) => title.toLowerCase().includes(text.toLowerCase()));

  const go = (command: Command | undefined) => {
    if (!command) return;
    location.hash = command.hash;
    dialog.current?.close();
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setChosen(Math.min(chosen + 1, commands.length - 1));
    else if (event.key === "ArrowUp") setChosen(Math.max(chosen - 1, 0));
    else if (event.key === "Enter") go(commands[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <button type="button" class="quiet" onClick={open} aria-keyshortcuts="Control+K">
        Go to… <kbd>Ctrl K</kbd>
      </button>
      <dialog ref={dialog} class="palette" aria-label="Go to">
        <input
          aria-label="Search"
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setChosen(0);
          }}
          onKeyDown={keys}
        />
        <ul>
          {commands.slice(0, maxShown).map((command, index) => (
            <li key={command.hash}>
              <button
                type="button"
                class={index === chosen ? "chosen" : ""}
                onClick={() => go(command)}
              >
                {command.title}
              </button>
            </li>
          ))}
        </ul>
      </dialog>
    </>
  );
}
