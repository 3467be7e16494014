import type { DynoEventLike, DynoSource } from "../contract.ts";
import type { RouteTable } from "./route-table.ts";

/** Connects a table to a manifold; see {@link RouteTable.follow}. */
export function followSource(table: RouteTable, source: DynoSource): () => void {
  const onDyno = (event: DynoEventLike) => table.applyDynoEvent(event);
  source.on("dyno", onDyno);
  const removeDrain = source.onDrain?.(async (dyno, { timeoutMs }) => {
    await table.drain(dyno.app, dyno.id, { timeoutMs });
  });
  for (const dyno of source.ps?.() ?? [])
    table.applyDynoEvent({
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
  };
}
