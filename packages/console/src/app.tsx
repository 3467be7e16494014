import { useEffect, useState } from "preact/hooks";
import { call } from "./api.ts";
import { useRoute } from "./ui/hooks.ts";
import { Palette } from "./ui/palette.tsx";
import { AppView } from "./views/app-view.tsx";
import { AppsView } from "./views/apps-view.tsx";
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
  const app = route[0] === "apps" ? route[1] : undefined;
  return (
    <>
      <header class="top">
        <a class="brand" href="#/">
          dynokit
        </a>
        <nav aria-label="Account">
          <Palette app={app} />
          <span class="who">{account.email}</span>
          <button type="button" class="quiet" onClick={() => void signOut()}>
            Sign out
          </button>
        </nav>
      </header>
      <main>
        {app === undefined ? (
          <AppsView />
        ) : (
          <AppView key={app} name={app} tab={route[2] ?? "overview"} />
        )}
      </main>
    </>
  );
}
