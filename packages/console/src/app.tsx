import { useEffect, useState } from "preact/hooks";
import { call } from "./api.ts";
import { useRoute } from "./ui/hooks.ts";
import { Palette } from "./ui/palette.tsx";
import { AccountView } from "./views/account-view.tsx";
import { AppView } from "./views/app-view.tsx";
import { AppsView } from "./views/apps-view.tsx";
import { PipelinesView } from "./views/pipelines-view.tsx";
import { SignIn } from "./views/sign-in.tsx";

interface Account {
  readonly email: string;
}

export function App() {
  const [account, setAccount] = useState<Account | null>();
  const route = useRoute();

  const whoAmI = () => call<Account>("/account").then(setAccount, () => setAccount(null));
  useEffect(() => {
    void whoAmI();
    const out = () => setAccount(null);
    addEventListener("dynokit:signed-out", out);
    return () => removeEventListener("dynokit:signed-out", out);
  }, []);

  if (account === undefined) return <main aria-busy="true" />;
  if (account === null) return <SignIn onDone={() => void whoAmI()} />;

  const signOut = () =>
    call("/console/session", { method: "DELETE" }).finally(() => setAccount(null));
  const place = route[0] === "account" || route[0] === "pipelines" ? route[0] : "apps";
  const app = route[0] === "apps" ? route[1] : undefined;
  return (
    <>
      <header class="top">
        <nav aria-label="Places">
          <a class="brand" href="#/">
            dynokit
          </a>
          <a class="top-link" href="#/" aria-current={place === "apps" ? "page" : undefined}>
            Apps
          </a>
          <a
            class="top-link"
            href="#/pipelines"
            aria-current={place === "pipelines" ? "page" : undefined}
          >
            Pipelines
          </a>
        </nav>
        <nav aria-label="Account">
          <Palette app={app} />
          <a
            class="who top-link"
            href="#/account"
            aria-current={place === "account" ? "page" : undefined}
            aria-label={`Account of ${account.email}`}
          >
            <span class="long">{account.email}</span>
            <span class="short">Account</span>
          </a>
          <button type="button" class="quiet" onClick={() => void signOut()}>
            Sign out
          </button>
        </nav>
      </header>
      <main>
        {place === "account" && <AccountView email={account.email} />}
        {place === "pipelines" && <PipelinesView />}
        {place === "apps" &&
          (app === undefined ? (
            <AppsView />
          ) : (
            <AppView key={app} name={app} tab={route[2] ?? "overview"} />
          ))}
      </main>
    </>
  );
}
