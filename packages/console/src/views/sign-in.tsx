import { useState } from "preact/hooks";
import { call } from "../api.ts";
import { useAction } from "../ui/hooks.ts";
import { Failure } from "../ui/parts.tsx";

/** Trades a token for a session cookie: the token itself is never kept by the page. */
export function SignIn({ onDone }: { onDone: () => void }) {
  const [token, setToken] = useState("");
  const { busy, error, run } = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    run(async () => {
      await call("/console/session", { method: "POST", body: { token: token.trim() } });
      setToken("");
      onDone();
    });
  };
  return (
    <main class="sign-in">
      <form class="panel" onSubmit={submit}>
        <h1>dynokit</h1>
        <label>
          API token
          <input
            type="password"
            autocomplete="off"
            required
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        <p class="hint">
          The platform printed it at its first start and keeps it in the data directory.
        </p>
        <Failure message={error} />
        <button type="submit" disabled={busy}>
          Sign in
        </button>
      </form>
    </main>
  );
}
