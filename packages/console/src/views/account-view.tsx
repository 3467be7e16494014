import { useState } from "preact/hooks";
import { type Authorization, call, list } from "../api.ts";
import { useAction, useLoaded } from "../ui/hooks.ts";
import { Ago, Failure, Field, Panel, RemoveButton, Rows } from "../ui/parts.tsx";

interface Transfer {
  readonly id: string;
  readonly state: string;
  readonly app: { readonly name: string };
  readonly owner: { readonly email: string };
  readonly recipient: { readonly email: string };
}

/** The tokens of the account that is signed in, and apps on their way to or from it. */
export function AccountView({ email }: { email: string }) {
  return (
    <>
      <div class="heading">
        <h1>Account</h1>
        <span class="muted">{email}</span>
      </div>
      <Tokens />
      <Transfers email={email} />
    </>
  );
}

const scopes = ["read", "deploy", "operate", "write", "global"] as const;

function Tokens() {
  const path = "/oauth/authorizations";
  const tokens = useLoaded(() => list<Authorization>(path), []);
  const [description, setDescription] = useState("");
  const [scope, setScope] = useState<string>("global");
  const [made, setMade] = useState<string>();
  const { busy, error, run, request } = useAction();
  return (
    <Panel title="API tokens">
      <Failure message={error ?? tokens.error} />
      <Rows items={tokens.value} empty="No tokens." keyOf={({ id }) => id}>
        {(token) => (
          <>
            <span class="what">
              <span>{token.description || "no description"}</span>
              <span class="muted">
                {token.scope.join(", ")}, made <Ago time={token.created_at} />
                {token.access_token?.expires_in
                  ? `, ${Math.ceil(token.access_token.expires_in / 3600)} h left`
                  : ""}
              </span>
            </span>
            <RemoveButton
              name={token.description || token.id}
              verb="Revoke"
              disabled={busy}
              onRemove={() => request(`${path}/${token.id}`, { method: "DELETE" }, tokens.reload)}
            />
          </>
        )}
      </Rows>
      {made !== undefined && (
        <p class="notice" role="status">
          The token, shown this once: <code>{made}</code>
        </p>
      )}
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault();
          run(async () => {
            const body = { description: description.trim(), scope: [scope] };
            const token = await call<Authorization>(path, { method: "POST", body });
            setMade(token.access_token?.token);
            setDescription("");
            tokens.reload();
          });
        }}
      >
        <Field label="What it is for" value={description} onValue={setDescription} />
        <label>
          Scope
          <select value={scope} onChange={(event) => setScope(event.currentTarget.value)}>
            {scopes.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <button type="submit" disabled={busy}>
          Make a token
        </button>
      </form>
    </Panel>
  );
}

function Transfers({ email }: { email: string }) {
  const path = "/account/app-transfers";
  const transfers = useLoaded(() => list<Transfer>(path), [], 10_000);
  const { busy, error, run, request } = useAction();
  const settle = (id: string, state: string) =>
    run(async () => {
      await call(`${path}/${id}`, { method: "PATCH", body: { state } });
      transfers.reload();
    });
  return (
    <Panel title="Transfers of apps">
      <Failure message={error ?? transfers.error} />
      <Rows items={transfers.value} empty="None." keyOf={({ id }) => id}>
        {(transfer) => (
          <>
            <span class="what">
              <span>
                {transfer.app.name}: {transfer.state}
              </span>
              <span class="muted">
                {transfer.owner.email} → {transfer.recipient.email}
              </span>
            </span>
            {transfer.state === "pending" && transfer.recipient.email === email && (
              <span class="buttons">
                <button
                  type="button"
                  disabled={busy}
                  aria-label={`Accept ${transfer.app.name}`}
                  onClick={() => settle(transfer.id, "accepted")}
                >
                  Accept
                </button>
                <button
                  type="button"
                  class="quiet"
                  disabled={busy}
                  aria-label={`Decline ${transfer.app.name}`}
                  onClick={() => settle(transfer.id, "declined")}
                >
                  Decline
                </button>
              </span>
            )}
            {transfer.state === "pending" && transfer.owner.email === email && (
              <RemoveButton
                name={`transfer of ${transfer.app.name}`}
                verb="Take back"
                disabled={busy}
                onRemove={() =>
                  request(`${path}/${transfer.id}`, { method: "DELETE" }, transfers.reload)
                }
              />
            )}
          </>
        )}
      </Rows>
    </Panel>
  );
}
