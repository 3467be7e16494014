import type { BackendRecord } from "../table/backend.ts";
import type { AppRouteRecord } from "../table/route-table.ts";

/** A field and its new text; null removes it. */
export type FieldChange = readonly [field: string, value: string | null];

/** Between an app and the id of a backend in the name of a field; no id contains it. */
const SEPARATOR = "\n";

interface AppFields {
  options: string | undefined;
  readonly backends: Map<string, string>;
}

/**
 * The shared table as fields, one for an app's settings and one for each of its backends: what two
 * machines change at once about one app is joined field by field, and the last writer of a field
 * wins.
 */
export class Mirror {
  readonly #apps = new Map<string, AppFields>();

  /** What has to change so that the fields say this record; null for an app that is gone. */
  diff(app: string, record: AppRouteRecord | null): FieldChange[] {
    const known = this.#apps.get(app);
    const changes: FieldChange[] = [];
    const wanted = new Map<string, string>();
    if (record !== null) {
      const { backends: _fixed, ...options } = record.options;
      const text = JSON.stringify(options);
      // A dyno may come up where nothing is known of its app: that must not undo what others set.
      const said = text !== "{}" || known?.options !== undefined;
      if (said && known?.options !== text) changes.push([app, text]);
      for (const backend of record.backends) wanted.set(backend.id, JSON.stringify(backend));
    } else if (known?.options !== undefined) changes.push([app, null]);
    for (const [id, text] of wanted)
      if (known?.backends.get(id) !== text) changes.push([app + SEPARATOR + id, text]);
    for (const id of known?.backends.keys() ?? [])
      if (!wanted.has(id)) changes.push([app + SEPARATOR + id, null]);
    return changes;
  }

  /** Takes a field over. Returns its app if that changed anything. */
  set([field, value]: FieldChange): string | undefined {
    const at = field.indexOf(SEPARATOR);
    const app = at < 0 ? field : field.slice(0, at);
    let known = this.#apps.get(app);
    if (known === undefined) {
      if (value === null) return undefined;
      known = { options: undefined, backends: new Map() };
      this.#apps.set(app, known);
    }
    const id = field.slice(at + 1);
    const before = at < 0 ? known.options : known.backends.get(id);
    if (before === (value ?? undefined)) return undefined;
    if (at < 0) known.options = value ?? undefined;
    else if (value === null) known.backends.delete(id);
    else known.backends.set(id, value);
    if (known.options === undefined && known.backends.size === 0) this.#apps.delete(app);
    return app;
  }

  /** All fields. */
  *fields(): IterableIterator<[field: string, value: string]> {
    for (const [app, { options, backends }] of this.#apps) {
      if (options !== undefined) yield [app, options];
      for (const [id, text] of backends) yield [app + SEPARATOR + id, text];
    }
  }

  /** An app as its fields say; null when there are none. */
  record(app: string): AppRouteRecord | null {
    const known = this.#apps.get(app);
    if (known === undefined) return null;
    const backends = [...known.backends.values()].map((text) => JSON.parse(text) as BackendRecord);
    return { app, options: JSON.parse(known.options ?? "{}"), backends };
  }
}
