import { useState } from "preact/hooks";
import { type Certificate, call, type Domain, list } from "../api.ts";
import { useAction, useLoaded } from "../ui/hooks.ts";
import { Failure, Field, Panel, RemoveButton, Rows } from "../ui/parts.tsx";
import type { TabProps } from "./app-view.tsx";

export function RoutingView(props: TabProps) {
  return (
    <>
      <Domains {...props} />
      <Certificates {...props} />
      <RouterSettings {...props} />
    </>
  );
}

function Domains({ app }: TabProps) {
  const path = `/apps/${app.id}/domains`;
  const domains = useLoaded(() => list<Domain>(path), [app.id]);
  const [hostname, setHostname] = useState("");
  const { busy, error, run, request } = useAction();
  return (
    <Panel title="Domains">
      <Failure message={error ?? domains.error} />
      <Rows items={domains.value} empty="No domains." keyOf={({ id }) => id}>
        {(domain) => (
          <>
            <span class="what">
              <code>{domain.hostname}</code>
              <span class="muted">
                {domain.kind === "custom"
                  ? `point its DNS at ${domain.cname ?? "this platform"}`
                  : "given by the platform"}
                {domain.sni_endpoint ? `; certificate ${domain.sni_endpoint.name}` : ""}
              </span>
            </span>
            {domain.kind === "custom" && (
              <RemoveButton
                name={domain.hostname}
                disabled={busy}
                onRemove={() =>
                  request(`${path}/${domain.id}`, { method: "DELETE" }, domains.reload)
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
            await call(path, {
              method: "POST",
              body: { hostname: hostname.trim(), sni_endpoint: null },
            });
            setHostname("");
            domains.reload();
          });
        }}
      >
        <Field
          label="Host name"
          placeholder="www.example.com"
          value={hostname}
          onValue={setHostname}
        />
        <button type="submit" disabled={busy}>
          Add domain
        </button>
      </form>
    </Panel>
  );
}

function Certificates({ app }: TabProps) {
  const path = `/apps/${app.id}/sni-endpoints`;
  const certificates = useLoaded(() => list<Certificate>(path), [app.id]);
  const [chain, setChain] = useState("");
  const [key, setKey] = useState("");
  const { busy, error, run, request } = useAction();
  return (
    <Panel title="Certificates">
      <Failure message={error ?? certificates.error} />
      <Rows items={certificates.value} empty="No certificates." keyOf={({ id }) => id}>
        {(certificate) => (
          <>
            <span class="what">
              <code>{certificate.name}</code>
              <span class="muted">
                {certificate.ssl_cert.cert_domains.join(", ")}; until{" "}
                {certificate.ssl_cert.expires_at.slice(0, 10)}, by {certificate.ssl_cert.issuer}
              </span>
            </span>
            <RemoveButton
              name={certificate.name}
              disabled={busy}
              onRemove={() =>
                request(`${path}/${certificate.id}`, { method: "DELETE" }, certificates.reload)
              }
            />
          </>
        )}
      </Rows>
      <details>
        <summary>Add a certificate</summary>
        <form
          class="stack"
          onSubmit={(event) => {
            event.preventDefault();
            run(async () => {
              await call(path, {
                method: "POST",
                body: { certificate_chain: chain, private_key: key },
              });
              setChain("");
              setKey("");
              certificates.reload();
            });
          }}
        >
          <Pem label="Certificate chain (PEM)" value={chain} onValue={setChain} />
          <Pem label="Private key (PEM)" value={key} onValue={setKey} />
          <button type="submit" disabled={busy}>
            Add certificate
          </button>
        </form>
      </details>
    </Panel>
  );
}

type Settings = Readonly<Record<string, unknown>>;

/** `timeouts.idleMs` and a value as `{timeouts: {idleMs: value}}`. */
const nested = (key: string, value: unknown): Settings =>
  key.split(".").reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as Settings;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function RouterSettings({ app }: TabProps) {
  const path = `/apps/${app.id}/router`;
  const settings = useLoaded(() => call<Settings>(path), [app.id]);
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const { busy, error, run, request } = useAction();
  const set =
    settings.value && Object.entries(settings.value).filter(([, setting]) => setting !== null);
  return (
    <Panel title="Settings">
      <Failure message={error ?? settings.error} />
      <Rows items={set} empty="The router's defaults hold." keyOf={([name]) => name}>
        {([name, setting]) => (
          <>
            <span class="what">
              <code>{name}</code>
              <span class="muted">{JSON.stringify(setting)}</span>
            </span>
            <RemoveButton
              name={name}
              disabled={busy}
              onRemove={() =>
                request(path, { method: "PATCH", body: { [name]: null } }, settings.reload)
              }
            />
          </>
        )}
      </Rows>
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault();
          run(async () => {
            await call(path, { method: "PATCH", body: nested(key.trim(), parsed(value)) });
            setKey("");
            setValue("");
            settings.reload();
          });
        }}
      >
        <Field label="Setting" placeholder="timeouts.firstByteMs" value={key} onValue={setKey} />
        <Field label="Value" placeholder="60000" value={value} onValue={setValue} />
        <button type="submit" class="quiet" disabled={busy}>
          Set
        </button>
      </form>
    </Panel>
  );
}

function Pem(props: { label: string; value: string; onValue: (value: string) => void }) {
  return (
    <label>
      {props.label}
      <textarea
        required
        rows={4}
        spellcheck={false}
        autocomplete="off"
        value={props.value}
        onInput={(event) => props.onValue(event.currentTarget.value)}
      />
    </label>
  );
}
