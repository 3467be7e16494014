import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, call, type RequestOptions } from "../api.ts";

export interface Loaded<T> {
  readonly value: T | undefined;
  readonly error: string | undefined;
  readonly reload: () => void;
}

/** How long after a failure that may pass (no answer, a fault of the server) the next try is. */
const retryMs = 3000;

export const mayPass = (fault: Error) =>
  !(fault instanceof ApiError) || fault.status === 0 || fault.status >= 500;

/** Loads now, on `reload`, after a failure that may pass, and every `everyMs` while the page is visible. */
export function useLoaded<T>(
  load: () => Promise<T>,
  keys: readonly unknown[],
  everyMs?: number,
): Loaded<T> {
  const [value, setValue] = useState<T>();
  const [error, setError] = useState<string>();
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    let stale = false;
    let retry: ReturnType<typeof setTimeout> | undefined;
    const once = (): Promise<void> =>
      latest.current().then(
        (result) => {
          if (stale) return;
          setValue(result);
          setError(undefined);
        },
        (fault: Error) => {
          if (stale || (fault instanceof ApiError && fault.status === 401)) return;
          setError(fault.message);
          clearTimeout(retry);
          if (mayPass(fault)) retry = setTimeout(() => void once(), retryMs);
        },
      );
    void once();
    const timer =
      everyMs === undefined
        ? undefined
        : setInterval(() => document.visibilityState === "visible" && void once(), everyMs);
    return () => {
      stale = true;
      clearTimeout(retry);
      clearInterval(timer);
    };
    // The caller names what the load depends on.
  }, [...keys, turn, everyMs]);
  const reload = useCallback(() => setTurn((old) => old + 1), []);
  return { value, error, reload };
}

/** Runs one action at a time and keeps its failure for the page to show. */
export function useAction(): {
  readonly busy: boolean;
  readonly error: string | undefined;
  readonly run: (action: () => Promise<unknown>) => void;
  /** The action that is one request, with what follows its success. */
  readonly request: (path: string, options: RequestOptions, done: () => void) => void;
} {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const run = useCallback((action: () => Promise<unknown>) => {
    setBusy(true);
    setError(undefined);
    action()
      .catch((fault: Error) => setError(fault.message))
      .finally(() => setBusy(false));
  }, []);
  const request = useCallback(
    (path: string, options: RequestOptions, done: () => void) =>
      run(() => call(path, options).then(() => done())),
    [run],
  );
  return { busy, error, run, request };
}

/** The part of the address behind `#`, as path segments. */
export function useRoute(): readonly string[] {
  const read = () =>
    location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
  const [route, setRoute] = useState(read);
  useEffect(() => {
    const changed = () => setRoute(read());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}
