import type { DynoEventLike, DynoSource } from "../contract.ts";
import type { RouteTable } from "./route-table.ts";

/** How long a manifold that took over may need to find the dynos of its predecessor, ms. */
const TAKE_OVER_MS = 15_000;

/** Connects a table to a manifold; see {@link RouteTable.follow}. */
export function followSource(table: RouteTable, source: DynoSource): () => void {
  const successions = new Map<string, unknown>();
  const onDyno = (event: DynoEventLike) => {
    table.applyDynoEvent(event);
    succeed(event.app);
  };

  /** The dynos of a predecessor on another machine end with it; nobody else takes them out. */
  function succeed(app: string): void {
    if (!table.shared || successions.has(app)) return;
    if (foreign(table, app).length === 0) return;
    const timer = table.clock.setTimeout(() => {
      successions.delete(app);
      const alive = new Set(source.ps?.().map(({ id }) => id));
      for (const { id, dyno } of foreign(table, app))
        if (!alive.has(id)) table.setBackend(app, { id, dyno, state: "gone" });
    }, TAKE_OVER_MS);
    successions.set(app, timer);
  }

  source.on("dyno", onDyno);
  const removeDrain = source.onDrain?.(async (dyno, { timeoutMs }) => {
    await table.drain(dyno.app, dyno.id, { timeoutMs });
  });
  for (const dyno of source.ps?.() ?? [])
    onDyno({
      app: dyno.app,
      dyno: dyno.dyno,
      id: dyno.id,
      type: dyno.type,
      to: dyno.state,
      at: table.clock.now(),
      ...(dyno.address === undefined ? {} : { address: dyno.address }),
      ...(dyno.release === undefined ? {} : { release: dyno.release }),
    });
  let stopped = false;
  return () => {
    if (stopped) return;
    stopped = true;
    source.off("dyno", onDyno);
    removeDrain?.();
    for (const timer of successions.values()) table.clock.clearTimeout(timer);
  };
}

function foreign(table: RouteTable, app: string) {
  const backends = table.get(app)?.backends.values() ?? [];
  return [...backends].filter((backend) => backend.foreign && !backend.fixed);
}
