import { useState } from "preact/hooks";
import { type Collaborator, call, list } from "../api.ts";
import { useAction, useLoaded } from "../ui/hooks.ts";
import { Failure, Field, Panel, RemoveButton, Rows } from "../ui/parts.tsx";
import type { TabProps } from "./app-view.tsx";

/** Who may use the app, and to whom it may go. */
export function AccessView({ app }: TabProps) {
  const path = `/apps/${app.id}/collaborators`;
  const people = useLoaded(() => list<Collaborator>(path), [app.id]);
  const [email, setEmail] = useState("");
  const [recipient, setRecipient] = useState("");
  const [offered, setOffered] = useState<string>();
  const { busy, error, run, request } = useAction();
  const transfer = useAction();
  return (
    <>
      <Panel title="Access">
        <Failure message={error ?? people.error} />
        <Rows items={people.value} empty="Nobody but the owner." keyOf={({ id }) => id}>
          {(person) => (
            <>
              <span class="what">
                <span>{person.user.email}</span>
                <span class="muted">{person.role}</span>
              </span>
              {person.role !== "owner" && (
                <RemoveButton
                  name={person.user.email}
                  disabled={busy}
                  onRemove={() =>
                    request(`${path}/${person.id}`, { method: "DELETE" }, people.reload)
                  }
                />
              )}
            </>
          )}
        </Rows>
        <form
          class="inline"
          onSubmit={(event) => {
            event.preventDefault();
            run(async () => {
              await call(path, { method: "POST", body: { user: email.trim() } });
              setEmail("");
              people.reload();
            });
          }}
        >
          <Field
            label="E-mail of an account"
            email
            placeholder="ann@example.com"
            value={email}
            onValue={setEmail}
          />
          <button type="submit" disabled={busy}>
            Give access
          </button>
        </form>
      </Panel>
      <Panel title="Transfer">
        <Failure message={transfer.error} />
        {offered !== undefined && <p role="status">Offered to {offered}, who has to accept it.</p>}
        <form
          class="inline"
          onSubmit={(event) => {
            event.preventDefault();
            transfer.run(async () => {
              const body = { app: app.id, recipient: recipient.trim() };
              await call("/account/app-transfers", { method: "POST", body });
              setOffered(recipient.trim());
              setRecipient("");
            });
          }}
        >
          <Field label="E-mail of the new owner" email value={recipient} onValue={setRecipient} />
          <button type="submit" class="quiet" disabled={transfer.busy}>
            Offer the app
          </button>
        </form>
      </Panel>
    </>
  );
}
